/** Inputs that once failed: corpus/DECODER/NAME.hex, hexadecimal bytes. They are tried before anything new. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Decoder } from './decoder.ts';

const CORPUS = fileURLToPath(new URL('corpus/', import.meta.url));
const HEX_A_LINE = 100;

export async function keptInputs({ name }: Decoder): Promise<Uint8Array[]> {
  const files = await readdir(join(CORPUS, name)).catch(() => []);
  const hex = files.filter((file) => file.endsWith('.hex')).sort();
  return Promise.all(
    hex.map(async (file) => {
      const text = await readFile(join(CORPUS, name, file), 'utf8');
      return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
    }),
  );
}

/** Gives the file. */
export async function keepInput({ name }: Decoder, input: Uint8Array): Promise<string> {
  const hex = Buffer.from(input).toString('hex');
  const file = join(
    CORPUS,
    name,
    `${createHash('sha256').update(hex).digest('hex').slice(0, 12)}.hex`,
  );
  await mkdir(join(CORPUS, name), { recursive: true });
  const lines = hex.match(new RegExp(`.{1,${HEX_A_LINE}}`, 'g')) ?? [];
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}
