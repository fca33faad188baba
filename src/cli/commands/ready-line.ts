/** The line with which `hptd serve` says, on standard output, that it answers: for people, and for who started it. */

export const READY_LINE = /^hptd is ready at (\S+)$/;

export function readyLine(url: string): string {
  return `hptd is ready at ${url}`;
}
