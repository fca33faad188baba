/**
 * What the main thread and a processor say to each other beside the rings: rarely, in order, over the worker's port.
 * Numbers of guests and streams are the daemon's; `slot` is the stream's place in its guest's memory.
 */
export type ToProcessor =
  | { readonly kind: 'attach-guest'; readonly guest: number; readonly memory: WebAssembly.Memory }
  | { readonly kind: 'detach-guest'; readonly guest: number }
  | {
      readonly kind: 'attach-stream';
      readonly stream: number;
      readonly guest: number;
      readonly slot: number;
    }
  /** Run what was submitted, then let go of it; with `drop`, let go at once. */
  | { readonly kind: 'detach-stream'; readonly stream: number; readonly drop: boolean }
  /** Say `passed` as soon as no hcall is being executed that was begun before this was read. */
  | { readonly kind: 'pass'; readonly number: number }
  | { readonly kind: 'stop' };

export type FromProcessor =
  | { readonly kind: 'ready' }
  /** The processor will not touch the stream's memory again, and has published all its answers. */
  | { readonly kind: 'stream-detached'; readonly stream: number }
  | { readonly kind: 'guest-detached'; readonly guest: number }
  | { readonly kind: 'passed'; readonly number: number };

/** Was a stream's detachment asked for, and is what was submitted to be run first? */
export type Leaving = 'no' | 'when-done' | 'at-once';

/** What a dead processor had, as the main thread knows it: what its successor goes on with. */
export interface Inheritance {
  readonly guests: readonly { readonly guest: number; readonly memory: WebAssembly.Memory }[];
  readonly streams: readonly {
    readonly stream: number;
    readonly guest: number;
    readonly slot: number;
    readonly leaving: Leaving;
  }[];
  /** Detaching was asked for. */
  readonly leavingGuests: readonly number[];
}

/** What a processor is born with. */
export interface ProcessorBirth {
  readonly inheritance: Inheritance;
  readonly index: number;
  readonly module: WebAssembly.Module;
  /** Its own bell, and the main thread's. */
  readonly bell: Int32Array<SharedArrayBuffer>;
  readonly mainBell: Int32Array<SharedArrayBuffer>;
}
