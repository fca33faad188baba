/**
 * The catalogue of problems: what can be wrong with a request itself, each under a code that never
 * changes.
 *
 * An hcall's status is an answer and never stands here: H_PTEG_FULL is a success of the daemon.
 * Every transport answers with these (REST as a body, the JSON stream as a member), and /problems
 * shows the table to people.
 *
 * SPEC: RFC 9457, "Problem Details for HTTP APIs"; `code`, `whatToDo` and `errors` are extension
 * members.
 */
import { HTAB_PROBLEMS } from './htab-problems.ts';
import { STATE_PROBLEMS } from './state-problems.ts';

export interface ProblemRow {
  readonly status: number;
  readonly title: string;
  readonly meaning: string;
  readonly whatToDo: string;
}

export const PROBLEMS = {
  'guest-not-found': {
    status: 404,
    title: 'No such guest',
    meaning: 'The daemon has no guest of this name.',
    whatToDo: 'GET /v1/guests lists the guests; PUT /v1/guests/{guest} creates one.',
  },
  'guest-exists': {
    status: 409,
    title: 'The guest exists',
    meaning: 'A guest of this name is there already. Creating never changes a guest.',
    whatToDo: 'Use it, choose another name, or DELETE it first.',
  },
  'guest-limit': {
    status: 409,
    title: 'No room for another guest',
    meaning: 'The daemon holds as many guests as it may, or as its memory allows.',
    whatToDo: 'DELETE a guest that is not needed, or ask for a smaller table.',
  },
  'guest-config-invalid': {
    status: 422,
    title: 'The guest cannot be like that',
    meaning: 'The description of the guest is not valid; `errors` names each member that is not.',
    whatToDo: 'Mend the members that `errors` names.',
  },
  'guest-deleted': {
    status: 410,
    title: 'The guest was deleted',
    meaning: 'The guest was deleted while the request waited.',
    whatToDo: 'Create it again if it is still needed.',
  },
  'guest-failed': {
    status: 409,
    title: 'The guest failed',
    meaning: 'A check inside the daemon failed while it worked on this guest: a bug of the daemon.',
    whatToDo: "Keep the daemon's log, report it, and DELETE the guest.",
  },
  'guest-state': {
    status: 409,
    title: 'Not in this state',
    meaning:
      'The guest is in a state of its life in which this cannot be asked of it. Nothing changed.',
    whatToDo:
      'GET the guest for its state; `detail` says what may be asked now. PATCH {"state":…} changes the state.',
  },
  'guest-paused': {
    status: 409,
    title: 'The guest is paused',
    meaning: 'No hcall of a paused guest is executed. Nothing was executed.',
    whatToDo:
      'PATCH the guest with {"state":"running"}, or send the hcall over a stream, where it waits.',
  },
  'stream-limit': {
    status: 409,
    title: 'Too many streams',
    meaning: 'The guest has as many streams open as it may.',
    whatToDo: 'Close a stream of this guest first.',
  },
  'processor-busy': {
    status: 503,
    title: 'No processor was free in time',
    meaning: 'The request waited for a processor for as long as it may. It may still be executed.',
    whatToDo: 'Send less at once, or read the table to see whether the call was executed.',
  },
  'shutting-down': {
    status: 503,
    title: 'The daemon shuts down',
    meaning: 'The daemon finishes what it accepted and takes nothing new.',
    whatToDo: 'Connect again when it is back.',
  },
  'hcall-unknown': {
    status: 404,
    title: 'No such hcall',
    meaning: 'No hcall, or no control operation where those are allowed, has this name.',
    whatToDo: 'GET / lists the names; they are written as PAPR writes them, in capitals.',
  },
  'argument-invalid': {
    status: 422,
    title: 'An argument is missing or malformed',
    meaning:
      'An argument of the call has no value, or one that it cannot have. Nothing was executed.',
    whatToDo: 'Mend the arguments that `errors` names. Words are "0x…" strings or exact numbers.',
  },
  'flag-unknown': {
    status: 422,
    title: 'Not a flag of this hcall',
    meaning: 'The hcall does not take a flag of this name. Nothing was executed.',
    whatToDo: 'Use the flags that `detail` lists, or give `flags` as a word to set any bit.',
  },
  'field-unknown': {
    status: 422,
    title: 'Unknown member',
    meaning: 'The body has a member that means nothing here. Nothing was executed.',
    whatToDo: 'Take it out, or correct its name; `detail` lists what there is.',
  },
  'ptex-out-of-range': {
    status: 404,
    title: 'No such entry',
    meaning: 'The table has no entry or group of this number.',
    whatToDo: 'A table of order n has 2^(n-4) entries in 2^(n-7) groups.',
  },
  'no-table': {
    status: 409,
    title: 'The guest has no table',
    meaning: 'The guest was created with order 0, or went radix, so there is nothing to look at.',
    whatToDo: 'Make a table with the control operation HPT_RESET.',
  },
  'table-changed': {
    status: 409,
    title: 'The table was replaced meanwhile',
    meaning: 'The table was resized or reset while it was being read, piece by piece.',
    whatToDo: 'Ask again.',
  },
  ...HTAB_PROBLEMS,
  ...STATE_PROBLEMS,
  'memory-not-kept': {
    status: 409,
    title: "The guest's memory is not kept",
    meaning: 'The bytes of guest memory exist only for guests created with `memory: "backed"`.',
    whatToDo: 'Create the guest with `memory: "backed"`.',
  },
  'memory-out-of-range': {
    status: 404,
    title: 'No memory there',
    meaning: 'The range is not wholly inside one of the memory slots that the guest keeps.',
    whatToDo: "Look at the guest's `memslots`.",
  },
  'memslot-not-found': {
    status: 404,
    title: 'No such memory slot',
    meaning: 'The guest has no memory slot of this number.',
    whatToDo: 'GET /v1/guests/{guest}/memslots lists the slots.',
  },
  'memslot-taken': {
    status: 409,
    title: 'The memory slot cannot be there',
    meaning:
      'The number is in use, the addresses overlap another slot, or there is no room for what is kept about it. Nothing changed.',
    whatToDo: 'DELETE the slot that `detail` names, or choose another number or other addresses.',
  },
  'resize-refused': {
    status: 409,
    title: 'The table cannot be resized so',
    meaning: 'The hcall that does it answered something else than success; `detail` says what.',
    whatToDo: 'GET the resize for its state; begin again with POST …/hpt/resize.',
  },
  'recording-not-found': {
    status: 404,
    title: 'No such recording',
    meaning: 'The guest has no recording of this number.',
    whatToDo: 'GET /v1/guests/{guest}/recordings lists the recordings.',
  },
  'recording-running': {
    status: 409,
    title: 'The recording goes on',
    meaning:
      'The guest is being recorded, and one recording at a time is all it takes; a file is there when it has ended.',
    whatToDo: 'End the recording with PATCH …/recordings/{id} and {"state":"ended"}.',
  },
  'recording-limit': {
    status: 409,
    title: 'Too many recordings',
    meaning: 'The guest keeps as many recordings as it may.',
    whatToDo: 'Download one and DELETE it.',
  },
  'recording-memory': {
    status: 409,
    title: 'No memory for another recording',
    meaning: 'The recordings of all guests of the daemon take as much memory as they may.',
    whatToDo:
      'Download recordings and DELETE them, or ask for a smaller bytesMax; recordingsBytesMax of the daemon is the limit.',
  },
  'query-invalid': {
    status: 400,
    title: 'The query is malformed',
    meaning: 'A parameter in the address after `?` is missing or malformed.',
    whatToDo: 'Mend the parameters that `errors` names.',
  },
  'body-invalid': {
    status: 400,
    title: 'The body cannot be read',
    meaning: 'The body is not JSON, not an object, or not of the length that was announced.',
    whatToDo: 'Send one JSON object.',
  },
  'body-too-large': {
    status: 413,
    title: 'The body is too large',
    meaning: 'The body is longer than the daemon takes.',
    whatToDo: 'Send several requests, or use a stream.',
  },
  'batch-too-large': {
    status: 413,
    title: 'Too many calls in one batch',
    meaning: 'The batch has more calls than the daemon takes at once. Nothing was executed.',
    whatToDo: 'Send several batches, or use a stream.',
  },
  'request-malformed': {
    status: 400,
    title: 'The request is malformed',
    meaning: 'The request line, a header or the address is not valid HTTP.',
    whatToDo: 'Mend the client.',
  },
  'request-too-slow': {
    status: 408,
    title: 'The request took too long to arrive',
    meaning:
      'The headers or the body of a request did not arrive in the time that the daemon allows.',
    whatToDo:
      'Send it at once; on a slow network raise `headersSecondsMax` or `requestSecondsMax`.',
  },
  'headers-too-large': {
    status: 431,
    title: 'The headers are too large',
    meaning: 'The request line and the headers are longer than the daemon takes.',
    whatToDo: 'Send fewer or shorter headers.',
  },
  unauthenticated: {
    status: 401,
    title: 'Who are you?',
    meaning: 'The request has no token, or one that the daemon does not know, or not any more.',
    whatToDo:
      'Send "Authorization: Bearer TOKEN" (hptd: HPTD_TOKEN or --token-file); who runs the daemon makes tokens with "hptd token create".',
  },
  forbidden: {
    status: 403,
    title: 'Not with this scope',
    meaning: 'The daemon knows who asks, and that is not enough for what was asked.',
    whatToDo: 'Ask who runs the daemon for a token with the scope that `detail` names.',
  },
  'origin-forbidden': {
    status: 403,
    title: 'Not from this page',
    meaning: 'A web page of another origin sent the request. Such pages may not use a daemon.',
    whatToDo: 'Name the origin in the option `allowedOrigins` if the page is yours.',
  },
  'host-unknown': {
    status: 421,
    title: 'Not a name of this daemon',
    meaning:
      'The Host header names a machine that this daemon does not answer for: so look requests of a page that made its own name lead here.',
    whatToDo: 'Use an address or localhost, or name the host in the option `allowedHosts`.',
  },
  'too-many-requests': {
    status: 429,
    title: 'Too many requests',
    meaning:
      'The client sends more requests in a second than it may, or more than can be answered.',
    whatToDo: 'Wait for as long as Retry-After says; send batches or use a stream.',
  },
  'too-many-connections': {
    status: 503,
    title: 'Too many connections',
    meaning: 'The daemon, or this client, has as many connections open as it may.',
    whatToDo: 'Use fewer connections and keep them; try again later.',
  },
  'client-guest-limit': {
    status: 409,
    title: 'No more guests for this client',
    meaning: 'The guests of this client are as many, or their tables as large, as they may be.',
    whatToDo: 'DELETE a guest that is not needed, or ask for a smaller table.',
  },
  'content-encoding-unsupported': {
    status: 415,
    title: 'Not with this encoding',
    meaning:
      'The body is compressed. The daemon takes bodies as they are: a small one could unpack to anything.',
    whatToDo: 'Send the body without a Content-Encoding.',
  },
  'subprotocol-missing': {
    status: 400,
    title: 'No subprotocol in common',
    meaning: 'The client offered no WebSocket subprotocol that the daemon speaks.',
    whatToDo: 'Offer hptd.v1 (binary) or hptd.v1.json.',
  },
  'upgrade-required': {
    status: 426,
    title: 'This address is a WebSocket',
    meaning: 'A stream is reached by upgrading the connection to a WebSocket.',
    whatToDo:
      'Connect with a WebSocket client, or post single hcalls to /v1/guests/{guest}/hcalls/{name}.',
  },
  'not-found': {
    status: 404,
    title: 'Nothing here',
    meaning: 'The daemon has nothing at this address.',
    whatToDo: 'GET / says what there is.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'Not with this method',
    meaning: 'The address exists, but does not take this method.',
    whatToDo: 'Use a method that the Allow header names.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'Not this media type',
    meaning: 'The body is of a media type that this address does not take.',
    whatToDo:
      'Send application/json, and application/octet-stream for guest memory and table streams.',
  },
  internal: {
    status: 500,
    title: 'A bug of the daemon',
    meaning: 'Something happened that the daemon was not written for.',
    whatToDo: "Report it with the daemon's log of that moment.",
  },
} as const satisfies Record<string, ProblemRow>;

export type ProblemCode = keyof typeof PROBLEMS;

export const PROBLEM_CODES = Object.keys(PROBLEMS) as ProblemCode[];

/** Own members only: a code comes out of a URL too, and `constructor` is none. */
export function isProblemCode(text: string): text is ProblemCode {
  return Object.hasOwn(PROBLEMS, text);
}

/**
 * One thing that is wrong, and where: `path` is a member as a program would write it,
 * `calls[2].flags[0]`.
 */
export interface ProblemPart {
  path: string;
  message: string;
}

export interface ProblemExtra {
  readonly errors?: readonly ProblemPart[];
  /** Headers that HTTP wants with the status, such as Allow. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly errors: readonly ProblemPart[] | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(code: ProblemCode, detail: string, extra: ProblemExtra = {}) {
    super(detail, extra.cause === undefined ? undefined : { cause: extra.cause });
    this.name = 'ProblemError';
    this.code = code;
    this.status = PROBLEMS[code].status;
    this.title = PROBLEMS[code].title;
    this.detail = detail;
    this.errors = extra.errors;
    this.headers = extra.headers;
  }
}

/** Longest text of a client's own that an answer gives back: enough to recognise it. */
const SHOWN_MAX = 120;

/** A client's own text as part of a message, cut where it gets long. */
export function shortened(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** The error to throw. */
export function problem(code: ProblemCode, detail: string, extra?: ProblemExtra): ProblemError {
  return new ProblemError(code, detail, extra);
}
