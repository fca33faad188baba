/*
 * The locking protocol of hptd: one group of three slots, whose entries all map one guest frame.
 *
 * Every inline is named after the function of src/engine that it stands for and stands under the name of its file.
 * README.md says in words what is checked and what was left out. A step of the model is one access to shared memory. An
 * `atomic` is one compare-and-swap or one store, with the book-keeping of the checks (checks.pml) around it.
 *
 *   -DSLOT_SEARCH=ONE_PASS | TWO_PASS | LINEARIZABLE     how H_ENTER looks for a slot: the guest option slotSearch
 *   -DBREAK=<one of the mistakes below>                  none if not given
 *   -DENTERS=n -DBULKS=n -DMOVERS=n -DCALLS=n -DUNMAPS=n who takes part; at the end of the file
 */
#define ONE_PASS 1
#define TWO_PASS 2
#define LINEARIZABLE 3
#ifndef SLOT_SEARCH
#define SLOT_SEARCH LINEARIZABLE
#endif

#define NO_RECHECK 1     /* H_ENTER does not ask again, when it links, whether the host's page went away */
#define SEQUENCE_FIRST 2 /* ... or asks in the wrong order */
#define BULK_WAITS 3     /* a bulk removal waits for its second entry with the first in hand */
#define UNMAP_WAITS 4    /* the host waits for an entry with the chain lock in hand */
#define NO_COMPARE 5     /* an entry lock is taken by a load and a store */
#define LINKS_LAST 6     /* H_ENTER asks whether the page went away, then puts its entry on an empty chain */
#ifndef BREAK
#define BREAK 0
#endif

#ifndef ENTERS
#define ENTERS 1
#endif
#ifndef BULKS
#define BULKS 0
#endif
#ifndef MOVERS
#define MOVERS 0
#endif
#ifndef CALLS
#define CALLS 1
#endif
#ifndef UNMAPS
#define UNMAPS 0
#endif

#define SLOTS 3
#define NO_SLOT SLOTS
#define ANY_SLOT 7 /* as a set */

/* ---- What the threads share ---- */

#define HVLOCK 1
#define VALID 2
#define ABSENT 4
#define TAKEN (VALID | ABSENT)
byte dword0[SLOTS];

/* The frame's rmap word: its lock, and the entries of its chain, as a set: bit s for slot s. */
#define RMAP_LOCK 8
byte rmap;

bool hostPresent = true;
byte invalidateInProgress, invalidateSeq;

#include "checks.pml"

/* ---- hpte-lock.ts ---- */

/* Gives `got`, and the word as locked in `v`. If it changes between the look and the compare-and-swap, that fails. */
inline tryLockHpte(s, busy) {
  atomic { v = dword0[s]; SAY(looks, s) }
  if
  :: (v & (busy)) != 0 -> atomic { got = false; v = 0 }
  :: else -> atomic {
       if
       :: dword0[s] == v || BREAK == NO_COMPARE ->
            dword0[s] = v | HVLOCK; got = true; nowHeld(s)
       :: else -> got = false; v = 0; SAY(misses, s)
       fi
     }
  fi
}

/* The loop around tryLockHpte() is one blocking step here: so a circle of waiters is a state without a next one. */
inline lockHpte(s) {
  atomic { (dword0[s] & HVLOCK) == 0 -> dword0[s] = dword0[s] | HVLOCK; nowHeld(s) }
}

inline awaitUnlocked(s) {
  (dword0[s] & HVLOCK) == 0
}

/* The holder's plain store; also how an entry appears and goes. */
inline unlockHpte(s, w) {
  atomic {
    dword0[s] = (w) & ~HVLOCK;
    nowReleased(s);
    assert(noStaleMapping);
    noteFull()
  }
}

/* ---- revmap.ts ---- */

inline lockChain() {
  atomic {
    (rmap & RMAP_LOCK) == 0 -> word = rmap; rmap = rmap | RMAP_LOCK;
    assert(chainHolder == NOBODY);
    chainHolder = _pid + 1;
    SAY(locksChain, NO_SLOT)
  }
}

inline unlockChain(w) {
  atomic {
    assert(chainHolder == _pid + 1);
    chainHolder = NOBODY;
    rmap = w;
    word = 0;
    SAY(unlocksChain, NO_SLOT)
  }
}

/* A chain without entries, or with one, is all in its word: one compare-and-swap changes it. Gives `got`. */
inline replaceWord(w) {
  atomic {
    if
    :: rmap == word -> rmap = w; got = true; SAY(swapsChain, NO_SLOT)
    :: else -> got = false
    fi;
    word = 0
  }
}

inline appendAlone(s) { replaceWord(SET(s)) }

inline unlinkAlone(s) {
  atomic { word = rmap; got = false }
  if
  :: word == SET(s) -> replaceWord(0)
  :: else -> word = 0
  fi
}

inline unlinkInvalidated(s) {
  unlinkAlone(s);
  if
  :: got -> got = false
  :: else -> lockChain(); unlockChain(word & ~SET(s))
  fi
}

/* ---- host/invalidation.ts ---- */

/* Gives `changed`. Two loads, and their order matters. */
inline hostChangedSince() {
#if BREAK == SEQUENCE_FIRST
  atomic { changed = (invalidateSeq != sequence); SAY(asksSequence, NO_SLOT) }
  atomic { changed = changed || invalidateInProgress != 0; SAY(asksInProgress, NO_SLOT) }
#else
  atomic { changed = (invalidateInProgress != 0); SAY(asksInProgress, NO_SLOT) }
  atomic { changed = changed || invalidateSeq != sequence; SAY(asksSequence, NO_SLOT) }
#endif
}

inline beginInvalidation() {
  atomic { invalidateInProgress++; SAY(countsIn, NO_SLOT) }
}

inline endInvalidation() {
  atomic { invalidateSeq++; SAY(movesSequence, NO_SLOT) }
  atomic { invalidateInProgress--; SAY(countsOut, NO_SLOT); unmapped = true; assert(noStaleMapping) }
}

/* ---- hcalls/enter.ts ---- */

/* H_ENTER: into any of the group's slots, or (H_EXACT) into the one of a set of one. */
inline enter(slots, slot) {
  atomic { wanted[_pid] = slots; wasFull[_pid] = allTaken(slots); SAY(callsEnter, slots) }
  sequence = invalidateSeq;
  realWord();
  if
  :: (slots) == ANY_SLOT -> lockFreeSlot()
  :: else -> lockThatSlot(slot)
  fi;
  if
  :: found == NO_SLOT -> atomic { SAY(answersFull, NO_SLOT); assert(wasFull[_pid]) }
  :: else -> publish(found)
  fi;
  atomic { wanted[_pid] = 0; wasFull[_pid] = false; found = 0; sequence = 0; newV = 0; got = false; i = 0; held = 0 }
}

inline realWord() {
  atomic { newV = (hostPresent -> VALID : ABSENT); SAY(seesHostPage, NO_SLOT) }
}

inline lockFreeSlot() {
  found = NO_SLOT;
  i = 0;
  do
  :: i < SLOTS ->
       tryLockHpte(i, HVLOCK | TAKEN);
       if
       :: got -> found = i; break
       :: else -> i++
       fi
  :: else -> break
  od;
  if
  :: found == NO_SLOT -> lockFreeSlotAgain()
  :: else
  fi
}

inline lockFreeSlotAgain() {
#if SLOT_SEARCH == LINEARIZABLE
  lockFreeSlotForSure()
#else
  lockFreeSlotAsBefore()
#endif
}

inline lockFreeSlotAsBefore() {
  i = (SLOT_SEARCH == ONE_PASS -> SLOTS : 0);
  do
  :: i < SLOTS ->
       lockHpte(i);
       if
       :: (v & TAKEN) == 0 -> found = i; break
       :: else -> unlockHpte(i, v); i++
       fi
  :: else -> break
  od
}

inline lockFreeSlotForSure() {
  held = 0;
  do
  :: held < SLOTS ->
       lockHpte(held);
       if
       :: (v & TAKEN) == 0 -> found = held; break
       :: else -> held++
       fi
  :: else -> break
  od;
  for (i : 0 .. held - 1) { unlockHpte(i, dword0[i]) }
}

inline lockThatSlot(s) {
  tryLockHpte(s, HVLOCK | TAKEN);
  found = (got -> s : NO_SLOT);
#if SLOT_SEARCH != ONE_PASS
  if
  :: !got ->
       lockHpte(s);
       if
       :: (v & TAKEN) != 0 -> unlockHpte(s, v)
       :: else -> found = s
       fi
  :: else
  fi
#endif
}

inline publish(s) {
  if
  :: newV == VALID -> linkUnlessHostChanged(s)
  :: else
  fi;
  unlockHpte(s, newV)
}

inline linkUnlessHostChanged(s) {
#if BREAK == LINKS_LAST
  hostChangedSince();
#endif
  atomic { word = rmap; got = false }
  if
  :: word == 0 -> appendAlone(s)
  :: else -> word = 0
  fi;
  if
  :: got ->
       got = false;
#if BREAK != NO_RECHECK && BREAK != LINKS_LAST
       hostChangedSince();
#endif
       if
       :: changed -> newV = ABSENT; changed = false; unlinkAgain(s)
       :: else
       fi
  :: else -> linkLocked(s)
  fi
}

inline unlinkAgain(s) { lockChain(); unlockChain(word & ~SET(s)) }

inline linkLocked(s) {
  lockChain();
#if BREAK != NO_RECHECK
  hostChangedSince();
#endif
  if
  :: changed -> newV = ABSENT; changed = false; unlockChain(word)
  :: else -> unlockChain(word | SET(s))
  fi
}

/* ---- hcalls/bulk-remove.ts; with one pair it is hcalls/remove.ts ---- */

inline removePair(s) {
  if
  :: batch == 0 -> lockHpte(s)
  :: else ->
#if BREAK == BULK_WAITS
       lockHpte(s)
#else
       tryLockHpte(s, HVLOCK);
       if
       :: !got -> finishBatch(); lockHpte(s)
       :: else
       fi
#endif
  fi;
  if
  :: (v & VALID) == 0 -> unlockHpte(s, 0) /* ABSENT: gone; or nothing was there: H_NOT_FOUND */
  :: else ->
       atomic { dword0[s] = v & ~VALID; v = 0; SAY(invalidates, s) }
       batch = batch | SET(s)
  fi
}

inline finishBatch() {
  i = 0;
  do
  :: i < SLOTS && (batch & SET(i)) != 0 -> unlinkInvalidated(i); unlockHpte(i, 0); i++
  :: i < SLOTS && (batch & SET(i)) == 0 -> i++
  :: else -> break
  od;
  atomic { batch = 0; i = 0; got = false }
}

/* ---- host/unmap.ts ---- */

inline unmapBackingPage() {
  beginInvalidation();
  atomic { hostPresent = false; SAY(takesPage, NO_SLOT) }
  unmapFrame();
  endInvalidation()
}

inline unmapFrame() {
  do
  :: lockChain();
     if /* the chain's head: any of its entries may be that */
     :: word == 0 -> unlockChain(word); break
     :: (word & 1) != 0 -> s = 0
     :: (word & 2) != 0 -> s = 1
     :: (word & 4) != 0 -> s = 2
     fi;
#if BREAK == UNMAP_WAITS
     lockHpte(s); got = true;
#else
     tryLockHpte(s, HVLOCK);
#endif
     if
     :: got -> detach()
     :: else -> unlockChain(word); awaitUnlocked(s)
     fi;
     atomic { s = 0; got = false }
  od
}

inline detach() {
  if
  :: (v & VALID) != 0 -> atomic { dword0[s] = HVLOCK | ABSENT; SAY(invalidates, s) }
  :: else
  fi;
  unlockChain(word & ~SET(s));
  unlockHpte(s, dword0[s])
}

/* ---- Who takes part ---- */

#define LOCALS byte v, word, newV, sequence, found, i, held, batch, s, p; bool got, changed

/* ENTERS: H_ENTER into any slot of the group. */
proctype enterer() { LOCALS; enter(ANY_SLOT, NO_SLOT) }

/* BULKS: H_BULK_REMOVE of two slots. */
proctype bulkRemover(byte first, second) {
  LOCALS; byte pair;
  for (pair : 0 .. 1) {
    removePair(first);
    first = second
  }
  finishBatch()
}

/* MOVERS: CALLS hcalls, each the H_REMOVE of any slot or an H_ENTER with H_EXACT into any slot. */
proctype mover() {
  LOCALS; byte calls, which; bool removes;
  do
  :: calls < CALLS ->
       atomic {
         calls++;
         select(which : 0 .. SLOTS - 1);
         if
         :: removes = true; SAY(callsRemove, which)
         :: removes = false
         fi
       }
       if
       :: removes -> removePair(which); finishBatch()
       :: else -> enter(SET(which), which)
       fi
  :: else -> break
  od
}

/* UNMAPS: HOST_UNMAP of the frame's page. One at most: nobody maps it again. */
proctype host() { LOCALS; unmapBackingPage() }

#define START(count, process) \
  n = 0; do :: n < count -> run process(); n++ :: else -> break od

init {
  byte n, m;
  atomic {
    for (n : 0 .. SLOTS - 1) {
      if /* each slot is free, or holds an entry of the frame */
      :: dword0[n] = VALID; rmap = rmap | SET(n)
      :: skip
      fi
    };
    START(ENTERS, enterer);
#if BULKS == 2 /* in opposite order */
    run bulkRemover(0, 2);
    run bulkRemover(2, 0);
#elif BULKS == 1 /* any two, or the same twice */
    select(n : 0 .. SLOTS - 1);
    select(m : 0 .. SLOTS - 1);
    run bulkRemover(n, m);
#endif
    START(MOVERS, mover);
    START(UNMAPS, host);
    n = 0;
    m = 0
  }
}
