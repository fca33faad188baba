/**
 * What systemd is told of the daemon's life when it asks for it (Type=notify): NOTIFY_SOCKET in the environment.
 *
 * By way of systemd-notify, which is there wherever systemd is: the socket is a Unix datagram socket, which Node does not
 * have, and the packages that bring one are native code that nobody looks after. Starting a process copies the page
 * tables of the daemon's memory, so it is done twice in a life and no watchdog is fed with it.
 *
 * SPEC: sd_notify(3), systemd-notify(1).
 */
import { spawn } from 'node:child_process';

/** `onError` is told why, if systemd cannot be told. Nothing waits for it. */
export function tellSystemd(what: 'READY' | 'STOPPING', onError: (error: Error) => void): void {
  if (process.env['NOTIFY_SOCKET'] === undefined) return;
  const child = spawn('systemd-notify', [`${what}=1`], { stdio: 'ignore' });
  child.unref();
  child.once('error', onError);
  child.once('exit', (code) => {
    if (code !== 0) onError(new Error(`systemd-notify ended with ${code}`));
  });
}
