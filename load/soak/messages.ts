/** What the soak profile and its daemon say to each other over the child process's channel. */

export type ToDaemon =
  /** `pick`: any number; it says which of those that live. */
  | { readonly kind: 'kill'; readonly pick: number }
  | { readonly kind: 'look' }
  /** Keep memory that nobody needs, to see that it is found out. */
  | { readonly kind: 'leak' };

export type FromDaemon =
  | { readonly kind: 'ready'; readonly url: string }
  /** null: every processor was only just starting. */
  | { readonly kind: 'killed'; readonly processor: number | null }
  | { readonly kind: 'handles'; readonly handles: number };
