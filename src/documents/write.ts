/** `npm run documents`: writes the documents into the tree, where changes of the interfaces are reviewed as they are read. */
import { writeFileSync } from 'node:fs';
import { VERSION } from '../operations/version.ts';
import { FILES } from './files.ts';

for (const { path, make } of FILES) {
  writeFileSync(new URL(`../../${path}`, import.meta.url), make(VERSION));
  console.log(`${path} is written`);
}
