/** Writes docs/protocol/counterexamples.md anew. */
import { writeFileSync } from 'node:fs';
import { COUNTEREXAMPLES, document, type Found } from './counterexamples.ts';
import { missingTools, spinVersion, verify } from './spin.ts';
import { BROKEN } from './variants.ts';

const missing = await missingTools();
if (missing !== undefined) throw new Error(missing);
const found: Found[] = [];
for (const variant of BROKEN) found.push({ variant, finding: await verify(variant) });
writeFileSync(COUNTEREXAMPLES, document(found, await spinVersion()));
