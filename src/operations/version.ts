/** The daemon's version, as package.json has it. */
import { readFileSync } from 'node:fs';

const PACKAGE_FILE = new URL('../../package.json', import.meta.url);

export const VERSION: string = (
  JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { version: string }
).version;
