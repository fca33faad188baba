/**
 * The command line as a person or a script meets it: exit codes, messages that say what to do, output for both.
 * Everything runs as a child process; what needs the compiled engine says so where it is missing.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startFakeDaemon } from '../client/fake-daemon.ts';
import { recorded, traceFolder, traceText } from './traces.ts';

const FRONT_DOOR = fileURLToPath(new URL('../../src/cli/hptd.ts', import.meta.url));
const ENGINE = fileURLToPath(new URL('../../build/engine.wasm', import.meta.url));
const needsEngine = { skip: existsSync(ENGINE) ? false : 'the engine is not compiled' };
const RUN_MILLIS = 60_000;

const folder = traceFolder();
after(() => folder.remove());

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(words: readonly string[], env: Record<string, string> = {}): ChildProcess {
  const { HPTD_URL: _url, ...rest } = process.env;
  return spawn(process.execPath, [FRONT_DOOR, ...words], {
    env: { ...rest, ...env },
    timeout: RUN_MILLIS,
  });
}

async function finish(child: ChildProcess): Promise<Outcome> {
  let [out, err] = ['', ''];
  child.stdout!.on('data', (data: Buffer) => {
    out += data;
  });
  child.stderr!.on('data', (data: Buffer) => {
    err += data;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

const run = (...words: string[]): Promise<Outcome> => finish(start(words));

const USAGE: [words: string[], message: RegExp][] = [
  [[], /which command\?; see "hptd help"/],
  [['relpay'], /command "relpay" is not known; did you mean replay\?/],
  [['help', 'H_ENTR'], /did you mean H_ENTER\?/],
  [['replay'], /which trace\? Name at least one file; see "hptd help replay"/],
  [['replay', 'x', '--jsno'], /option "--jsno" is not known; did you mean --json\?/],
  [['replay', 'x', '--processors', '0'], /--processors takes a whole number from 1 to/],
  [['replay', 'x', '--processors', '1', '--url', 'http://127.0.0.1:1'], /leave it out with --url/],
  [['replay', 'x', '--url', 'nowhere'], /"nowhere" is no daemon address: write http/],
  [['call', 'g'], /which guest, and which hcall\?/],
  [['call', 'g', 'H_REED', 'ptex=1'], /did you mean H_READ\?/],
  [['call', 'g', 'H_READ', 'pte=1'], /did you mean ptex\?/],
  [
    ['call', 'g', 'H_ENTER', 'flags=H_EXCAT', 'ptex=1', 'pteh=1', 'ptel=1'],
    /did you mean H_EXACT\?; see "hptd help H_ENTER"/,
  ],
  [['call', 'g', 'H_READ', 'ptex'], /"ptex" is no NAME=VALUE/],
  [['call', 'g', 'H_READ', 'ptex=1', 'ptex=2'], /ptex is given twice/],
  [['create'], /which name shall the guest have\?/],
  [['create', 'g', 'oder=24'], /did you mean order\?/],
  [['guests', 'g'], /guests takes no "g"/],
  [['group', 'g', 'seven'], /"seven" is no number of a group/],
  [['serve', '--listen', 'nowhere'], /listen: /],
  [['serve', '--processors', 'many'], /processors: /],
];

test('a wrong command line ends with 64, one line, and what to do', async () => {
  const outcomes = await Promise.all(USAGE.map(([words]) => run(...words)));
  USAGE.forEach(([words, message], i) => {
    const { code, out, err } = outcomes[i]!;
    assert.equal(code, 64, `${words.join(' ')}: ${err}`);
    assert.match(err, message);
    assert.match(err, /see "hptd help.*"\n$/);
    assert.equal(out, '');
  });
});

test('help and version are no errors, and know every command and hcall', async () => {
  const [help, version, enter, create, inside] = await Promise.all([
    run('help'),
    run('--version'),
    run('help', 'H_ENTER'),
    run('help', 'create'),
    run('call', '--help'),
  ]);
  assert.match(help.out, /serve[^]*replay[^]*guests[^]*call[^]*group/);
  assert.match(version.out, /^hptd \d+\.\d+\.\d+\n$/);
  assert.match(enter.out, /flags: H_EXACT, /);
  assert.match(create.out, /backingPageBytes/);
  assert.match(inside.out, /H_BULK_REMOVE/);
  for (const { code, err } of [help, version, enter, create, inside])
    assert.deepEqual([code, err], [0, '']);
});

test('no daemon: 69, and what to do', async () => {
  const gone = await startFakeDaemon();
  await gone.close();
  const trace = folder.write('fine.jsonl.gz', traceText([]));
  const outcomes = await Promise.all([
    run('guests', '--url', gone.url),
    run('call', 'g', 'H_READ', 'ptex=1', '--url', gone.url),
    run('replay', trace, trace, '--url', gone.url),
  ]);
  for (const { code, err } of outcomes) {
    assert.equal(code, 69);
    assert.match(
      err,
      /nothing listens there; start one with "hptd serve", or name another with --url\n$/,
    );
    assert.equal(err.trim().split('\n').length, 1);
  }
});

test("what the daemon refuses ends with 65 and the daemon's own words", async () => {
  const daemon = await startFakeDaemon({
    rest: () => ({
      status: 404,
      body: {
        title: 'No such guest',
        status: 404,
        detail: 'there is no guest "g"',
        code: 'guest-not-found',
        whatToDo: 'create it',
      },
    }),
  });
  try {
    const { code, err } = await finish(start(['group', 'g', '0x1'], { HPTD_URL: daemon.url }));
    assert.deepEqual(
      [code, err],
      [65, 'hptd: there is no guest "g" (guest-not-found, HTTP 404); create it\n'],
    );
    assert.deepEqual(daemon.requests, ['GET /v1/guests/g/hpt/groups/1']);
  } finally {
    await daemon.close();
  }
});

const ENTER = { op: 'H_ENTER', args: ['0x0', '0x8', '0x1', '0x190'], ret: 0, out: ['0x9'] };

test('replay: bad files do not stop the others, and the worst exit code wins', async () => {
  const daemon = await startFakeDaemon({ answer: () => ({ status: 0, words: [9n] }) });
  const good = folder.write(
    'good.jsonl.gz',
    traceText([ENTER, { op: 'H_CEDE', args: [], ret: 0, out: [] }]),
  );
  const wrong = folder.write('wrong.jsonl.gz', traceText([ENTER, { ...ENTER, out: ['0x8'] }]));
  const cut = folder.write('cut.jsonl.gz', traceText([ENTER]).slice(0, -9));
  try {
    const matching = await run('replay', good, '--url', daemon.url, '--json');
    assert.equal(matching.code, 0);
    const { seconds, hcallsPerSecond, totalSeconds, ...rest } = JSON.parse(matching.out) as Record<
      string,
      number
    >;
    assert.deepEqual(rest, {
      file: good,
      name: 'made by a test',
      hcalls: 2,
      events: 2,
      mismatches: 0,
      skipped: 1,
      tableMatches: null,
    });
    assert.ok(seconds! > 0 && hcallsPerSecond! > 0 && totalSeconds! > seconds!);
    assert.match(matching.err, /H_CEDE is not known to hptd: 1 skipped/);

    const all = await run('replay', cut, wrong, good, '--url', daemon.url, '--json');
    assert.equal(all.code, 65);
    assert.deepEqual(
      all.out
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { mismatches: number }).mismatches),
      [1, 0],
    );
    assert.match(
      all.err,
      /cut\.jsonl\.gz: line 2: the last line is only half written; delete that line/,
    );
    assert.match(
      all.err,
      /wrong\.jsonl\.gz line 3: H_ENTER flags=0x0 ptex=0x8 pteh=0x1 ptel=0x190\n {2}ptex 0x9 instead of 0x8\n/,
    );

    const people = await run('replay', wrong, '--url', daemon.url);
    assert.equal(people.code, 1);
    assert.match(people.out, /^trace +events +hcalls +mismatches/);
    // No colours, no progress bar: this is no terminal.
    for (const control of ['\u001b', '\r']) assert.ok(!(people.out + people.err).includes(control));
  } finally {
    await daemon.close();
  }
});

test('replay: a stream that the daemon closes is 69, a malformed frame would be our defect', async () => {
  const trace = folder.write('closed.jsonl.gz', traceText([ENTER]));
  for (const [closeCode, exitCode] of [
    [1012, 69],
    [4400, 70],
  ] as const) {
    const daemon = await startFakeDaemon({
      answer: () => {
        for (const socket of daemon.sockets) socket.close(closeCode, 'because');
        return { status: 0, words: [9n] };
      },
    });
    daemon.hold();
    const { code, err } = await run('replay', trace, '--url', daemon.url);
    await daemon.close();
    assert.equal(code, exitCode);
    assert.match(err, new RegExp(`close code ${closeCode}: because`));
  }
});

/** The pid of the daemon that a replay started, by Linux's list of children. */
async function childrenOf(pid: number): Promise<number[]> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(`not within 15 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const [sample] = recorded('traces');

test('replay starts a daemon of its own, and takes it away again', needsEngine, async () => {
  const small = folder.write(
    'small.jsonl.gz',
    traceText([
      { op: 'HPT_RESET', order: 18 },
      { ...ENTER, out: ['0x8'] },
    ]),
  );
  const child = start([
    'replay',
    small,
    ...(sample === undefined ? [] : [sample]),
    '--processors',
    '1',
    '--json',
  ]);
  const outcome = finish(child);
  let daemons: number[] = [];
  await until(
    'a daemon',
    async () => (daemons = await childrenOf(child.pid!)).length > 0 || child.exitCode !== null,
  );
  const { code, out, err } = await outcome;
  assert.deepEqual([code, err], [0, '']);
  for (const line of out.trim().split('\n'))
    assert.match(line, /"mismatches":0,"skipped":0,"tableMatches":(true|null),/);
  assert.deepEqual(daemons.filter(isAlive), []);
});

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`replay leaves no daemon behind when it ends by ${signal}`, {
    skip: needsEngine.skip || !existsSync('/proc/self/task'),
  }, async () => {
    // Long enough to be interrupted in the middle.
    const endless = folder.write(
      'endless.jsonl.gz',
      traceText(Array.from({ length: 200_000 }, () => ENTER)),
    );
    const child = start(['replay', endless, '--json']);
    const closed = once(child, 'close');
    child.stdout!.resume();
    child.stderr!.resume();
    let daemons: number[] = [];
    await until('a daemon', async () => (daemons = await childrenOf(child.pid!)).length > 0);
    child.kill(signal);
    const [code, by] = (await closed) as [number | null, string | null];
    assert.deepEqual([code, by], signal === 'SIGINT' ? [130, null] : [null, 'SIGKILL']);
    await until('the daemon gone', () => !daemons.some(isAlive));
  });
}

test(
  'serve says where it is, answers the other commands, and ends on SIGTERM with 0',
  needsEngine,
  async () => {
    const child = start([
      'serve',
      '--listen',
      '127.0.0.1:0',
      '--processors',
      '1',
      '--log-level',
      'silent',
    ]);
    const closed = once(child, 'close');
    try {
      // An end instead of a line makes the match below fail, and says so.
      const [data] = (await Promise.race([once(child.stdout!, 'data'), closed])) as [unknown];
      const url = /^hptd is ready at (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(String(data))![1]!;
      const hptd = async (...words: string[]): Promise<Outcome> => {
        const outcome = await run(...words, '--url', url);
        assert.deepEqual([outcome.code, outcome.err], [0, ''], words.join(' '));
        return outcome;
      };
      await hptd('create', 'g', 'order=18', 'ramBytes=64M', 'memslots=0x0:32M,0x10000000:1M:ci');
      assert.match((await hptd('guests')).out, /g +18 +64M +64K +16M/);
      assert.equal((JSON.parse((await hptd('guests', '--json')).out) as unknown[]).length, 1);
      const enter = ['call', 'g', 'H_ENTER', 'flags=H_EXACT', 'ptex=0x8', 'pteh=0x1', 'ptel=0x190'];
      assert.match(
        (await hptd(...enter)).out,
        /^H_ENTER answers H_SUCCESS \(0\)\n {2}ptex {2}0x8\n/,
      );
      assert.match(
        (await hptd(...enter, '--explain')).out,
        /H_PTEG_FULL \(-6\)\n {2}.*SLOT_OCCUPIED/,
      );
      assert.match((await hptd('call', 'g', 'HOST_AGE', 'gpa=0')).out, /referenced/);
      assert.match((await hptd('group', 'g', '1')).out, /1 of 8 slots occupied[^]*0x8 +valid/);
      assert.match((await hptd('delete', 'g')).out, /g is deleted/);
    } finally {
      child.kill('SIGTERM');
    }
    assert.deepEqual(await closed, [0, null]);
  },
);
