#!/usr/bin/env node
/**
 * What `npm start` and `npx hptd` run: looks at the Node that runs it, then opens the front door. It is JavaScript, in
 * words that old Nodes understand, because they stop at the first .ts file with an error that helps nobody.
 */
const NODE_MAJOR = 26;
const EXIT_USAGE = 64;

const found = process.versions.node;
if (Number.parseInt(found, 10) >= NODE_MAJOR) {
  await import('./hptd.ts');
} else {
  process.stderr.write(
    `hptd: this is Node ${found}, hptd needs Node ${NODE_MAJOR}: "npm ci" installs it beside hptd, and "npm start" and "npx hptd" then use it\n`,
  );
  process.exitCode = EXIT_USAGE;
}
