/** What of a guest outlives a daemon that is killed: docs/state.md says how much. */
export const DURABILITIES = ['none', 'snapshot', 'journal'] as const;

export type Durability = (typeof DURABILITIES)[number];
