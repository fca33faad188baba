/**
 * A process that opens connections and says nothing on them, for connections.test.ts: `node crowd.ts PORT COUNT`.
 * Prints a line of JSON after each hundred, and at the end ten times a second: how many it opened, and how many of those
 * are open still. It ends with the whole crowd when its standard input does.
 */
import { once } from 'node:events';
import { connect } from 'node:net';

const AT_ONCE = 100;
const [port, count] = process.argv.slice(2).map(Number) as [number, number];
let closed = 0;

process.stdin.resume().once('close', () => process.exit(0));
for (let opened = AT_ONCE; opened <= count; opened += AT_ONCE) {
  const sockets = Array.from({ length: AT_ONCE }, () => connect(port, '127.0.0.1'));
  for (const socket of sockets) {
    socket.once('close', () => closed++);
    socket.on('error', () => {});
  }
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  tell(opened);
}
setInterval(tell, 100, count);

function tell(opened: number): void {
  process.stdout.write(`${JSON.stringify({ opened, open: opened - closed })}\n`);
}
