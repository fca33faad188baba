/*
 * What protocol.pml checks, and what the checks remember (ghosts). No step of the protocol depends on anything here.
 */

#define PROCESSES (1 + ENTERS + BULKS + MOVERS + UNMAPS)
#define NOBODY 0
byte holder[SLOTS];      /* who has the entry's lock */
byte chainHolder;
byte wanted[PROCESSES];  /* the slots that a running H_ENTER could use, as a set */
bool wasFull[PROCESSES]; /* there was an instant since that H_ENTER began at which they were all taken */
bool unmapped;           /* HOST_UNMAP is over */

#define SET(s) (1 << (s))
#define isTaken(s) ((dword0[s] & TAKEN) != 0) /* strictly: not while H_ENTER fills it or a removal empties it */
#define takenSlots (isTaken(0) + 2 * isTaken(1) + 4 * isTaken(2))
#define allTaken(slots) ((takenSlots & (slots)) == (slots))

/* Only for drawings of a counterexample: what happened, and the state after it. Nothing in a verification. */
mtype = { callsEnter, callsRemove, looks, gets, misses, unlocks, invalidates, locksChain, unlocksChain, swapsChain, seesHostPage,
  asksInProgress, asksSequence, countsIn, takesPage, movesSequence, countsOut, answersFull };
#define SAY(what, s) \
  printf("STEP %d %e %d %d %d %d %d %d\n", _pid, what, s, dword0[0], dword0[1], dword0[2], rmap, hostPresent)

inline nowHeld(s) {
  assert(holder[s] == NOBODY);
  holder[s] = _pid + 1;
  v = dword0[s];
  SAY(gets, s)
}

inline nowReleased(s) {
  assert(holder[s] == _pid + 1);
  holder[s] = NOBODY;
  v = 0;
  SAY(unlocks, s)
}

inline noteFull() {
  d_step {
    for (p : 0 .. PROCESSES - 1) {
      if
      :: wanted[p] != 0 && allTaken(wanted[p]) -> wasFull[p] = true
      :: else
      fi
    };
    p = 0
  }
}

#define noneValid (((dword0[0] | dword0[1] | dword0[2]) & VALID) == 0)
#define noStaleMapping (!unmapped || noneValid)
