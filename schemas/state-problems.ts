/** Problems of what outlives a daemon; problems.ts puts all of them together. */
export const STATE_PROBLEMS = {
  'guest-damaged': {
    status: 409,
    title: 'The guest cannot be started',
    meaning:
      'The daemon keeps a guest of this name, but cannot read its newest snapshot: it is damaged, or of another hptd.',
    whatToDo: 'Do what `detail` says (docs/state.md), or DELETE the guest.',
  },
  'state-off': {
    status: 409,
    title: 'The daemon keeps no state',
    meaning: 'Guests of this daemon end with it, so there are no snapshots of them.',
    whatToDo: 'Start it with --state-dir.',
  },
  'state-unwritable': {
    status: 507,
    title: 'It cannot be kept',
    meaning: 'What was asked for needs a file in the state directory, which cannot be written.',
    whatToDo: "Make room in the daemon's state directory, or make it writable; then ask again.",
  },
  'state-failing': {
    status: 503,
    title: 'Guests are not kept as promised',
    meaning:
      'The newest snapshot of a guest cannot be written, so what it does is lost if the daemon ends. The daemon works.',
    whatToDo: 'Make room in its state directory: it tries again every few seconds.',
  },
} as const;
