/** Certificates for tests, made by openssl: NAME.pem and NAME.key in a folder. */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Why tests that need certificates are skipped; false: they are not. */
export function withoutOpenssl(): string | false {
  return spawnSync('openssl', ['version']).status === 0
    ? false
    : 'openssl is not installed on this machine';
}

export const SERVER_EXTENSION = 'subjectAltName=IP:127.0.0.1';
export const CLIENT_EXTENSION = 'extendedKeyUsage=clientAuth';

const NEW_KEY = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
const DAYS = '-days 2';

export interface Certificates {
  /** One that signs others. */
  authority(name: string): void;
  signed(name: string, commonName: string, by: string, extension: string): void;
}

export function certificatesIn(folder: string): Certificates {
  const openssl = (words: string): void => {
    execFileSync('openssl', words.split(' '), { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  return {
    authority: (name) =>
      openssl(
        `req -x509 ${NEW_KEY} ${DAYS} -subj /CN=${name} -keyout ${name}.key -out ${name}.pem`,
      ),
    signed(name, commonName, by, extension) {
      writeFileSync(join(folder, `${name}.ext`), extension);
      openssl(`req ${NEW_KEY} -subj /CN=${commonName} -keyout ${name}.key -out ${name}.csr`);
      openssl(
        `x509 -req -in ${name}.csr -CA ${by}.pem -CAkey ${by}.key -CAcreateserial ${DAYS} -extfile ${name}.ext -out ${name}.pem`,
      );
    },
  };
}
