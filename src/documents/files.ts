/** The documents that are kept in the tree, as `npm run documents` writes them and a test compares them. */
import { asyncApi } from './asyncapi.ts';
import { openApi } from './openapi.ts';

export interface DocumentFile {
  /** From the project's root. */
  readonly path: string;
  readonly make: (version: string) => string;
}

const pretty = (document: unknown): string => `${JSON.stringify(document, undefined, 1)}\n`;

export const FILES: readonly DocumentFile[] = [
  { path: 'docs/openapi.json', make: (version) => pretty(openApi(version)) },
  { path: 'docs/asyncapi.json', make: (version) => pretty(asyncApi(version)) },
];
