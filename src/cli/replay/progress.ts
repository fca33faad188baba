/** One line on standard error that says how far long work is; nothing where standard error is no terminal. */

const BAR_CELLS = 30;
const REDRAW_MILLIS = 100;

/** `done` tells 0 to 1, or undefined where that is not known. Returns what takes the line away again. */
export function showProgress(
  label: string | (() => string),
  done: () => number | undefined,
): () => void {
  const { stderr } = process;
  if (!stderr.isTTY) return () => {};
  const draw = (): void => {
    stderr.clearLine(0);
    stderr.cursorTo(0);
    stderr.write(
      `${typeof label === 'string' ? label : label()} ${bar(done())}`.slice(0, stderr.columns - 1),
    );
  };
  draw();
  const timer = setInterval(draw, REDRAW_MILLIS).unref();
  return () => {
    clearInterval(timer);
    stderr.clearLine(0);
    stderr.cursorTo(0);
  };
}

function bar(done: number | undefined): string {
  if (done === undefined) return '…';
  const cells = Math.round(BAR_CELLS * done);
  return `[${'='.repeat(cells)}${' '.repeat(BAR_CELLS - cells)}] ${Math.floor(100 * done)} %`;
}
