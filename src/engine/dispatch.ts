/**
 * From an opcode to what executes it. Runs on a processor, with the gate entered and no lock held.
 *
 * `args` points at the record's words in the submission ring, `results` at room for answerWordsMax words in the
 * completion ring. A handler gives the status and, if it answers words, calls answerWords.
 * The two hcalls that Linux makes most, when nobody asks why, do not come here: commonest.ts.
 */
import { executeControl } from './host/control';
import { blockRemove } from './hcalls/block-remove';
import { bulkRemove } from './hcalls/bulk-remove';
import { clearHpt } from './hcalls/clear-hpt';
import { clearMod, clearRef } from './hcalls/clear-ref-mod';
import { enter } from './hcalls/enter';
import { pageInit } from './hcalls/page-init';
import { protect } from './hcalls/protect';
import { read } from './hcalls/read';
import { remove } from './hcalls/remove';
import { resizeCommit, resizePrepare } from './hcalls/resize';
import {
  OP_H_BLOCK_REMOVE, OP_H_BULK_REMOVE, OP_H_CLEAR_HPT, OP_H_CLEAR_MOD, OP_H_CLEAR_REF, OP_H_ENTER, OP_H_PAGE_INIT,
  OP_H_PROTECT, OP_H_READ, OP_H_REMOVE, OP_H_RESIZE_HPT_COMMIT, OP_H_RESIZE_HPT_PREPARE, isControl,
} from './opcodes';
import { lookForPause } from './processor';
import { RULE_CONTROL_BY_GUEST, RULE_UNKNOWN_OPCODE } from './rules';
import { H_FUNCTION } from './status';
import { because, explaining, mayControl } from './this-processor';

export function execute(opcode: u32, words: u32, args: usize, results: usize): i32 {
  switch (opcode) {
    case OP_H_ENTER:
      return enter(args, results, explaining);
    case OP_H_REMOVE:
      return remove(args, results, explaining);
    case OP_H_BULK_REMOVE:
      return bulkRemove(args, words, results);
    case OP_H_PROTECT:
      return protect(args);
    case OP_H_READ:
      return read(args, results);
    case OP_H_CLEAR_REF:
      return clearRef(args, results);
    case OP_H_CLEAR_MOD:
      return clearMod(args, results);
    case OP_H_PAGE_INIT:
      return pageInit(args);
    case OP_H_BLOCK_REMOVE:
      return blockRemove(args, words, results);
    default:
      return executeLong(opcode, words, args, results);
  }
}

/** What may take as long as thousands of others: a pause should not wait for a frame full of it. */
function executeLong(opcode: u32, words: u32, args: usize, results: usize): i32 {
  lookForPause();
  switch (opcode) {
    case OP_H_RESIZE_HPT_PREPARE:
      return resizePrepare(args);
    case OP_H_RESIZE_HPT_COMMIT:
      return resizeCommit(args);
    case OP_H_CLEAR_HPT:
      return clearHpt();
    default:
      if (isControl(opcode) && mayControl) return executeControl(opcode, words, args, results);
      because(isControl(opcode) ? RULE_CONTROL_BY_GUEST : RULE_UNKNOWN_OPCODE, opcode);
      return H_FUNCTION;
  }
}
