/** The stream client against a daemon that watches it: credits, order, and every way a stream ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeRequests, type RequestRecord } from '../../schemas/records.ts';
import { streamUrl } from '../../src/client/address.ts';
import {
  ProtocolError,
  RefusedError,
  StreamEndedError,
  UnavailableError,
} from '../../src/client/errors.ts';
import { connectStream } from '../../src/client/stream.ts';
import { type FakeDaemon, type FakeOptions, startFakeDaemon } from './fake-daemon.ts';

async function withDaemon(
  options: FakeOptions,
  body: (daemon: FakeDaemon) => Promise<void>,
): Promise<void> {
  const daemon = await startFakeDaemon(options);
  try {
    await body(daemon);
    assert.deepEqual(daemon.faults, []);
  } finally {
    await daemon.close();
  }
}

const echo = ({ words }: { words: readonly bigint[] }) => ({ status: 0, words: [...words] });

function reads(count: number, first = 0): RequestRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    opcode: 0x0c,
    tag: first + i,
    words: [0n, BigInt(first + i)],
  }));
}

test('hello is checked and shown, and the role is asked for', () =>
  withDaemon({}, async (daemon) => {
    const stream = await connectStream(streamUrl(daemon.url, 'g'), { role: 'host' });
    assert.equal(stream.hello.role, 'host');
    assert.equal(stream.hello.limits.creditBytes, 524288);
    await stream.close();
    assert.equal((await stream.ended).code, 1000);
  }));

test('no more is in flight than credits allow, and all of it is used', () => {
  const limits = { frameBytes: 240, creditBytes: 1000, frameOverheadBytes: 8 };
  return withDaemon({ answer: echo, answersPerFrame: 7, limits }, async (daemon) => {
    const stream = await connectStream(streamUrl(daemon.url, 'g'));
    let answered = 0;
    stream.onAnswers((_, records) => {
      answered += records;
    });
    for (let first = 0; first < 1000; first += 10) {
      void stream.sendFrame(encodeRequests(reads(10, first)), 10);
    }
    await stream.drained();
    assert.equal(answered, 1000);
    assert.equal(stream.creditsLeft(), 1000);
    // Four frames of 240 + 8 bytes fit into 1000.
    assert.equal(daemon.mostInFlight, 992);
    await stream.close();
  });
});

test('a frame is settled by its last answer, not before', () => {
  const limits = { frameBytes: 1000, creditBytes: 100, frameOverheadBytes: 4 };
  return withDaemon({ answer: echo, answersPerFrame: 1, limits }, async (daemon) => {
    const stream = await connectStream(streamUrl(daemon.url, 'g'));
    daemon.hold();
    assert.equal(stream.sendFrame(encodeRequests(reads(2)), 2), undefined);
    assert.equal(stream.creditsLeft(), 100 - 48 - 4);
    let sent = false;
    const wait = stream.sendFrame(encodeRequests(reads(2, 2)), 2)!.then(() => {
      sent = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(sent, false);
    daemon.release();
    await wait;
    await stream.drained();
    assert.equal(stream.creditsLeft(), 100);
    await stream.close();
  });
});

test('a frame over the limits is refused before it is sent', () => {
  const limits = { frameBytes: 100, creditBytes: 60, frameOverheadBytes: 8 };
  return withDaemon({ limits }, async (daemon) => {
    const stream = await connectStream(streamUrl(daemon.url, 'g'));
    assert.throws(
      () => stream.sendFrame(encodeRequests(reads(5)), 5),
      /longer than the daemon's limit of 100/,
    );
    assert.throws(() => stream.sendFrame(encodeRequests(reads(3)), 3), RangeError);
    assert.equal(daemon.frames, 0);
    await stream.close();
  });
});

test('a close code becomes an error that says what to do', () =>
  withDaemon({ answer: echo }, async (daemon) => {
    const stream = await connectStream(streamUrl(daemon.url, 'g'));
    daemon.hold();
    void stream.sendFrame(encodeRequests(reads(3)), 3);
    const draining = stream.drained();
    for (const socket of daemon.sockets) socket.close(4410, 'g is gone');
    const error = await draining.then(
      () => assert.fail('answered'),
      (reason: StreamEndedError) => reason,
    );
    assert.ok(error instanceof StreamEndedError);
    assert.equal(error.code, 4410);
    assert.match(error.message, /the guest was deleted \(close code 4410: g is gone\)/);
    assert.equal(error.advice, 'create it again');
    assert.equal((await stream.ended).code, 4410);
    await assert.rejects(
      async () => stream.sendFrame(encodeRequests(reads(1)), 1),
      StreamEndedError,
    );
  }));

test('a lost connection and a silent daemon are errors too', () =>
  withDaemon({ answer: echo }, async (daemon) => {
    const lost = await connectStream(streamUrl(daemon.url, 'g'));
    void lost.sendFrame(encodeRequests(reads(1)), 1);
    daemon.hold();
    for (const socket of daemon.sockets) socket.terminate();
    await assert.rejects(lost.drained(), (error: StreamEndedError) => error.code === 1006);
    const mute = await connectStream(streamUrl(daemon.url, 'g'), { silenceMillis: 20 });
    const unheard = mute.sendFrame(encodeRequests(reads(1)), 1);
    assert.equal(unheard, undefined);
    await assert.rejects(mute.drained(), /no answer for/);
  }));

test('answers nobody asked for, and halves of answers, end the stream as protocol errors', () =>
  withDaemon({}, async (daemon) => {
    for (const bytes of [Buffer.alloc(8), Buffer.from([0, 0, 1, 0, 0, 0, 0, 0])]) {
      const stream = await connectStream(streamUrl(daemon.url, 'g'));
      for (const socket of daemon.sockets) socket.send(bytes);
      await stream.ended;
      await assert.rejects(stream.drained(), ProtocolError);
    }
  }));

test('an answer listener that throws ends the stream, not the process', () =>
  withDaemon({ answer: echo }, async (daemon) => {
    const stream = await connectStream(streamUrl(daemon.url, 'g'));
    stream.onAnswers(() => {
      throw new Error('listener fell over');
    });
    await stream.sendFrame(encodeRequests(reads(1)), 1);
    await assert.rejects(stream.drained(), /listener fell over/);
  }));

test('a hello that is none is refused', async () => {
  for (const hello of ['{"type":"hello"}', 'hm', Buffer.from('binary')]) {
    await withDaemon({ hello: () => hello }, async (daemon) => {
      await assert.rejects(connectStream(streamUrl(daemon.url, 'g')));
    });
  }
});

test('nothing listening and HTTP refusals have their own errors', async () => {
  const daemon = await startFakeDaemon();
  await daemon.close();
  await assert.rejects(connectStream(streamUrl(daemon.url, 'g')), (error: UnavailableError) => {
    assert.ok(error instanceof UnavailableError);
    assert.match(error.message, /nothing listens there/);
    assert.match(error.advice, /hptd serve/);
    return true;
  });
  const { createServer } = await import('node:http');
  const refusing = createServer();
  refusing.on('upgrade', (_request, socket) => {
    const body = JSON.stringify({
      type: 'x',
      title: 'No such guest',
      status: 404,
      detail: 'there is no guest "g"',
      code: 'guest-not-found',
      whatToDo: 'create it',
    });
    socket.end(
      `HTTP/1.1 404 Not Found\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    );
  });
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = refusing.address() as { port: number };
    await assert.rejects(
      connectStream(streamUrl(`http://127.0.0.1:${port}`, 'g')),
      (error: RefusedError) => {
        assert.ok(error instanceof RefusedError);
        assert.deepEqual(
          [error.code, error.status, error.advice],
          ['guest-not-found', 404, 'create it'],
        );
        return true;
      },
    );
  } finally {
    refusing.close();
  }
});
