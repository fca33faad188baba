/** What the engine shows to the threads that load it: its calls, and the memory map. */
export * from './memory-map';
export * from './rules';
export { answerPlace } from './answer-counts';
export { beProcessor } from './this-processor';
export { backgroundSlice } from './hcalls/resize';
export { answerWordsMax, wordsAllowed } from './opcodes';
export { addMemslot, boundTables, openTable, setSlotSearch, startGuest, wakeGuest } from './guest';
export { run } from './processor';
export { interruptedStream, recover } from './recovery';
export { neverWait, stepBack } from './step-back';
