/**
 * The commands that `hptd demo` prints. test/end-to-end/ runs them exactly as they are printed.
 *
 * They go to the group in which the recorded kernel keeps the first page of its linear mapping. The boot leaves one of its
 * slots taken, so the eighth is free for the first command, and the second finds another one by itself. Both pages are of
 * the kernel's segment and hash to this group, so that the third command shows their virtual addresses.
 */

const GROUP = '0x3217';
const FIRST_SLOT = '0x190b8';
const LAST_SLOT = '0x190bf';

const EXACT = {
  flags: ['H_EXACT'],
  ptex: LAST_SLOT,
  pteh: '0x400ea1b217008005',
  ptel: '0x4001190',
};
const ANYWHERE = {
  hcall: 'H_ENTER',
  ptex: FIRST_SLOT,
  pteh: '0x400ea1b217010005',
  ptel: '0x4011190',
  explain: true,
};

/** Each command behind a `#` line that tells what it shows. */
export function tryNext(daemon: string, guest: string): string {
  const rest = `${daemon}/v1/guests/${guest}`;
  const stream = `${rest.replace('http', 'ws')}/stream`;
  // npx, because the machine's own Node may be too old to know WebSocket.
  const overStream = [
    `const s = new WebSocket("${stream}", "hptd.v1.json");`,
    `s.onopen = () => s.send(${JSON.stringify(JSON.stringify(ANYWHERE))});`,
    's.onmessage = (m) => { console.log(m.data); if (m.data.includes("status")) s.close(); }',
  ].join(' ');
  return `
Try in another terminal, in this folder (Ctrl-C here ends the daemon):

# Enter a page at a slot that is free: H_SUCCESS. Once more: H_PTEG_FULL, the slot is taken.
curl --json '${JSON.stringify(EXACT)}' ${rest}/hcalls/H_ENTER
# Another page, at whatever slot of the group is free, over a WebSocket and with the reason of the answer.
npx node -e '${overStream}'
# The group they are in now: eight slots, decoded.
curl ${rest}/hpt/groups/${GROUP}
`;
}
