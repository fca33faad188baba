/** What the keeper of images asks of a guest's journal (src/guests/journal/journal.ts). */
export interface KeptJournal {
  /** Why an image is wanted: answers wait for it, or the journal grows too long; undefined: none is. */
  wantsImage(): 'answers wait' | 'journal long' | undefined;
  /** Why nothing is acknowledged now. */
  trouble(): Error | undefined;
  /**
   * The next record executed belongs to a new segment, of whose beginning an image is to be taken now. Nothing is executed
   * meanwhile. Resolves with the segment's number, which is the image's, when it is on disk; rejects when the disk refuses.
   */
  cut(): Promise<number>;
  /** The image of the segment's beginning is on disk. Segments before `keptFrom` are needed no longer. */
  hasImage(segment: number, keptFrom: number): Promise<void>;
  /** Resolves when everything is on disk, or the disk refuses it. */
  close(): Promise<void>;
}
