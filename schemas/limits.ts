/**
 * Every limit of hptd, with its reason. Sizes in bytes unless the name says otherwise.
 * What the engine must know too is written again in src/engine/memory-map.ts; a test compares.
 */

/** A guest's whole memory (table, reverse map, rings) is one WebAssembly memory of at most 4 GiB. */
export const ORDER_MAX = 30;
/** SPEC: PAPR and KVM: below 2^18 bytes the AVPN and the group no longer give back the whole virtual address. */
export const ORDER_MIN = 18;

/** Room for 4,096 H_ENTER records of 40 bytes with room to spare; below the size at which ws copies hurt. */
export const FRAME_BYTES_MAX = 256 * 1024;
/** What a stream may have unanswered: two full frames, so that one is executed while the next arrives. */
export const CREDIT_BYTES = 512 * 1024;
/** Added to a frame's length when credits are counted: what its header costs in the ring. */
export const FRAME_OVERHEAD_BYTES = 8;
/** A JSON frame holds a handful of hcalls for people; this is 1,000 of them. */
export const JSON_FRAME_BYTES_MAX = 256 * 1024;
/** hcalls a JSON stream may have unanswered: what a person or a script types ahead. */
export const JSON_IN_FLIGHT_MAX = 1024;

/** A submission ring holds the credits, one frame lost to the wrap, and headers. Power of two. */
export const SUBMISSION_RING_BYTES = 1024 * 1024;
/** A completion ring: when it is full the processor leaves the stream alone until the socket takes more. */
export const COMPLETION_RING_BYTES = 1024 * 1024;
/** Streams of one guest, the daemon's own for REST included: 256 MiB of address space for rings. */
export const STREAMS_PER_GUEST_MAX = 128;
/** Processors of a daemon: each has 4 KiB in every guest's memory, and so has the main thread, which makes them 64. */
export const PROCESSORS_MAX = 63;
/** Memory slots of a guest: looked up by a linear scan. */
export const MEMSLOTS_MAX = 32;
/** Open readers of a guest's table stream. */
export const HTAB_READERS_MAX = 16;
/**
 * How long a table stream may stand still, either way, before it is cut off (its client hangs, and holds a stream), and a
 * table reader wait for its next pass (a copy asks at once, and the engine has few), unless configured.
 */
export const HTAB_IDLE_SECONDS_MAX = 60;
/** Guests of a daemon: each reserves some 10 GiB of address space (not memory). */
export const GUESTS_MAX = 64;

/** hcalls in one REST batch: about 100 KiB of JSON, some milliseconds of the main thread. */
export const BATCH_HCALLS_MAX = 1000;
/** A REST body: a full batch with explanations switched on fits twice. */
export const BODY_BYTES_MAX = 512 * 1024;
/** Entries that one TABLE_HASH, TABLE_COUNT piece handles: about a millisecond of a processor. */
export const PIECE_ENTRIES_MAX = 65536;
/** Bytes one HTAB_READ answers: an eighth of the completion ring. */
export const HTAB_READ_BYTES_MAX = 64 * 1024;
/** Host pages one HOST_DIRTY harvests. */
export const DIRTY_FRAMES_MAX = 4096;
/** Host pages one request harvests: half a MiB of bitmap, the dirt of 256 GiB in pages of 64 KiB. */
export const DIRTY_PAGES_MAX = 4 * 1024 * 1024;
/** Words one MEMORY_READ answers. */
export const MEMORY_WORDS_MAX = 4096;
/** Data words of one HTAB_WRITE or MEMORY_WRITE: the record's 12-bit word count less its arguments. */
export const DATA_WORDS_MAX = 4000;
/** Calls that a client's stream keeps unsent, as they are encoded: 32 times the credits, then the caller must wait. */
export const CLIENT_WAITING_BYTES_MAX = 16 * 1024 * 1024;

/** Guest memory really kept (`memory: "backed"`) lives in the same 4 GiB as the table. */
export const BACKED_RAM_BYTES_MAX = 1024 * 1024 * 1024;
/** Slot addresses: real page frames are the guest's plus 2^44, and a page frame number ends at bit 59. */
export const GPA_LIMIT = 1n << 44n;

/** Answers waiting in a socket above which its stream's completions stay in the ring: two full rings. */
export const SOCKET_HIGH_WATER_BYTES = 2 * 1024 * 1024;
/** A peer that misses a ping for this long is gone. */
export const PING_INTERVAL_MILLIS = 20_000;
/** How long a clean shutdown waits for what is in flight, then for sockets to close. */
export const SHUTDOWN_GRACE_MILLIS = 5_000;
/** How long a REST call waits for its processor before it answers 503. */
export const REST_WAIT_MILLIS = 10_000;

/** Connections of a daemon unless configured: half of all streams of all guests; some 20 KB each. */
export const CONNECTIONS_MAX = 4096;
/** Connections from one address, or over one Unix socket: nobody takes all of them, and eight guests' streams fit. */
export const CONNECTIONS_PER_CLIENT_MAX = 1024;
/** Requests a second of one who had to say who he is: half of what the main thread can read, so that others get the rest. */
export const REQUESTS_PER_SECOND_MAX = 20_000;
/** Wrong tokens on one connection, then it is closed: nobody guesses 256 bits, but each try costs the main thread. */
export const REFUSALS_MAX = 20;
/** Bytes that tables of one client's guests may take unless configured: all guests, each with two of the largest. */
export const TABLE_BYTES_PER_CLIENT_MAX = GUESTS_MAX * 4 * 2 ** ORDER_MAX;
/** Request line and headers: room for a token and a proxy's additions. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** How long a connection may take to send its first or next request's headers, once begun. */
export const HEADERS_SECONDS_MAX = 10;
/** How long a whole request may take to arrive: a table of 1 GiB at 30 Mbit/s. */
export const REQUEST_SECONDS_MAX = 300;
/** Between looks at who is too slow. */
export const SLOW_LOOK_MILLIS = 500;
/** Calls of one guest over REST that wait for one processor: 64 full batches; beyond, more would only wait longer. */
export const REST_IN_FLIGHT_MAX = 64 * BATCH_HCALLS_MAX;
/** Between looks at whether an access file was replaced: what an operator who revokes a token has to wait. */
export const ACCESS_LOOK_MILLIS = 1000;
/** Rows of an access file: read in a millisecond or two on the main thread. */
export const ACCESS_ROWS_MAX = 1000;
/** A TLS handshake that takes longer is none. */
export const TLS_HANDSHAKE_MILLIS = 5_000;

/** Recordings that a guest keeps, one of them going on: their files lie in memory until they are deleted. */
export const RECORDINGS_PER_GUEST_MAX = 4;
/** A recording's file, compressed: from 3 bytes an event (a boot, most of it read back) up to some dozens. */
export const RECORDING_BYTES_MAX = 256 * 1024 * 1024;
/** All recordings of a daemon unless configured, what may wait for their threads included: ten of the usual size at once. */
export const RECORDINGS_BYTES_MAX = 2 * 1024 * 1024 * 1024;
/** Events of a recording: what a replay can still hold in memory, a few gigabytes. */
export const RECORDING_EVENTS_MAX = 20_000_000;
/** A recording that somebody forgot ends by itself. */
export const RECORDING_SECONDS_MAX = 24 * 3600;
/** Frames and answers that wait for the thread that writes them; more, and the recording ends with what it lost counted. */
export const RECORDING_BACKLOG_BYTES_MAX = 128 * 1024 * 1024;
/** Text that is compressed at once: enough to compress well, little enough to lose nothing of the limits' meaning. */
export const RECORDING_BLOCK_BYTES = 1024 * 1024;

/** Between looks at which guest's image is due: by so much an image may be later than its interval says. */
export const STATE_LOOK_MILLIS = 500;
/** Between tries to write an image that could not be written: soon after there is room again. */
export const STATE_RETRY_MILLIS = 5_000;
/** How long the last images may take when a daemon ends: two tables of order 30 at 100 MB/s. */
export const STATE_SHUTDOWN_MILLIS = 45_000;
/** Seconds between images at the most: a day. */
export const SNAPSHOT_SECONDS_MAX = 86_400;

/** What a journal gathers for a disk that does not follow, then frames wait with their streams: some groups of a busy guest. */
export const JOURNAL_BACKLOG_BYTES_MAX = 16 * 1024 * 1024;
/** A journal behind the newest snapshot beyond which the next is taken: some seconds of a restart. */
export const JOURNAL_BYTES_MAX = 256 * 1024 * 1024;
/** Between tries to write to a disk that refuses: what an operator who makes room has to wait. */
export const JOURNAL_RETRY_MILLIS = 1000;
