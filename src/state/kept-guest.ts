/**
 * A guest that is kept, and its images in its directory. An image has a number; with a journal it is that of the segment which
 * begins in the image's moment (src/guests/journal/journal.ts). Main thread.
 */
import { VERSION } from '../operations/version.ts';
import type { MemoryMap } from '../rings/engine.ts';
import { imageFile, imagesIn } from './directory.ts';
import type { ImageFile } from './directory.ts';
import type { ImageFacts, ImageHeader } from './image-format.ts';
import { takeImage } from './images.ts';
import type { ImageSubject, ImageThread, TakenImage } from './images.ts';
import { removeJournalBefore } from './journal/files.ts';
import type { KeptJournal } from './journal/kept-journal.ts';

/** A guest, as whoever has it shows it to its keeper. */
export interface KeptGuest {
  readonly name: string;
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  readonly header: Omit<ImageHeader, 'guest' | 'writtenBy'>;
  /** How it is now; undefined: it failed, and what it holds is not worth keeping. */
  facts(): ImageFacts | undefined;
  /** Grows with every record that was executed. */
  records(): number;
  /** Runs `work` while nothing of it is executed. */
  hold<T>(work: () => Promise<T>): Promise<T>;
  /** Undefined: it keeps none. */
  journal(): KeptJournal | undefined;
}

/** Number of the image with which a guest is born. */
export const FIRST = 1;

/** Of a guest that is not running yet. */
export function takeFirst(
  thread: ImageThread,
  guest: KeptGuest,
  path: string,
): Promise<TakenImage> {
  const file = imageFile(path, FIRST);
  return takeImage(thread, subjectOf(guest, 'still'), {
    temporaryPath: file.temporaryPath,
    path: async () => file.path,
    older: [],
  });
}

/** Throws what takeImage throws. `number`: if there is no journal. `onMoment`: nothing is executed, and the image is of now. */
export async function takeNext(
  thread: ImageThread,
  guest: KeptGuest,
  path: string,
  number: number,
  guestIs: 'running' | 'still',
  onMoment: () => void,
): Promise<TakenImage & { readonly file: ImageFile }> {
  const { images } = imagesIn(path);
  const journal = guest.journal();
  const subject = subjectOf(guest, guestIs);
  let segment: Promise<number> | undefined;
  const facts = (): ImageFacts => {
    onMoment();
    segment = journal?.cut();
    // Whoever waits for it comes later.
    segment?.catch(() => {});
    return subject.facts();
  };
  const fileOf = async (): Promise<ImageFile> => imageFile(path, (await segment) ?? number);
  const taken = await takeImage(
    thread,
    { ...subject, facts },
    {
      temporaryPath: imageFile(path, number).temporaryPath,
      path: async () => (await fileOf()).path,
      older: images.slice(1).map((image) => image.path),
    },
  );
  const file = await fileOf();
  if (journal === undefined) removeJournalBefore(path, file.number);
  else await journal.hasImage(file.number, images[0]?.number ?? file.number);
  return { ...taken, file };
}

function subjectOf(guest: KeptGuest, guestIs: 'running' | 'still'): ImageSubject {
  const { memory, map, name, header } = guest;
  const facts = (): ImageFacts => {
    const found = guest.facts();
    if (found === undefined) throw new Error(`guest ${name} failed while its image was taken`);
    return found;
  };
  const hold: ImageSubject['hold'] = guestIs === 'still' ? undefined : (work) => guest.hold(work);
  return { memory, map, header: { ...header, guest: name, writtenBy: VERSION }, hold, facts };
}
