/**
 * Clients of the fairness mode that send requests with long answers, more than their credits, and read nothing.
 * The daemon has to keep what it answers them until it gives up.
 */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { STREAM_PROTOCOL } from '../../schemas/stream.ts';
import { H_READ, begin, openFrame, put, takeFrame } from '../engine/frames.ts';

/** H_READ with H_READ_4: 24 bytes that are answered with 72. */
const READ_4_HIGH = 1 << 5;
const RECORDS = 1600;
/** Twice as many answers as the daemon may keep for a client in its rings and its socket. */
const FRAMES = 64;

/** Connects so many and makes them send. They stay until `endMutes`. */
export async function startMutes(url: string, count: number): Promise<WebSocket[]> {
  const writer = openFrame(RECORDS);
  for (let i = 0; i < RECORDS; i++) {
    begin(writer, H_READ, 2, 0);
    put(writer, READ_4_HIGH, 0);
    put(writer, 0, 8 * i);
  }
  const { bytes } = takeFrame(writer);
  return Promise.all(Array.from({ length: count }, () => startMute(url, bytes)));
}

async function startMute(url: string, frame: Uint8Array): Promise<WebSocket> {
  const socket = new WebSocket(url, [STREAM_PROTOCOL], { perMessageDeflate: false });
  await once(socket, 'message');
  socket.pause();
  // The daemon may reset the connection before all is sent.
  socket.on('error', () => {});
  for (let i = 0; i < FRAMES; i++) socket.send(frame, () => {});
  return socket;
}

export function endMutes(sockets: readonly WebSocket[]): void {
  for (const socket of sockets) socket.terminate();
}
