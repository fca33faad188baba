/**
 * How often a processor answered what: one u64 in its block for each hcall and status, by rows and columns. Only that
 * processor writes them, with plain stores; the main thread reads them whenever somebody asks.
 */
import { COUNT_ANSWERS } from './memory-map';
import {
  CONTROL_BIT, OP_H_BLOCK_REMOVE, OP_H_BULK_REMOVE, OP_H_CLEAR_HPT, OP_H_PAGE_INIT, OP_H_RESIZE_HPT_COMMIT, OP_H_RESIZE_HPT_PREPARE,
} from './opcodes';
import {
  H_BUSY, H_CLOSED, H_CONTINUE, H_FUNCTION, H_HARDWARE, H_LONG_BUSY_ORDER_100_MSEC, H_NOT_AVAILABLE, H_NOT_FOUND, H_NO_MEM,
  H_PARAMETER, H_PARTIAL, H_PTEG_FULL, H_RESOURCE, H_SUCCESS, H_TOO_BIG,
} from './status';
import { count } from './this-processor';

/** Rows below are the opcodes of PAPR's first hcalls, divided by 4; the first is for hcalls that there are not. */
const ROW_BULK_REMOVE: u32 = 12;

@inline
export function countAnswer(opcode: u32, status: i32): void {
  count(answerPlace(opcode, status), 1);
}

/** Where in a processor's block the counter of this answer is; control records share one. */
@inline
export function answerPlace(opcode: u32, status: i32): usize {
  const row = opcode <= OP_H_PAGE_INIT && (opcode & 3) == 0 ? opcode >> 2 : laterRow(opcode);
  return COUNT_ANSWERS + (<usize>((row << 4) + (status == H_SUCCESS ? 0 : column(status))) << 3);
}

function laterRow(opcode: u32): u32 {
  switch (opcode) {
    case OP_H_BULK_REMOVE:
      return ROW_BULK_REMOVE;
    case OP_H_BLOCK_REMOVE:
      return ROW_BULK_REMOVE + 1;
    case OP_H_CLEAR_HPT:
      return ROW_BULK_REMOVE + 2;
    case OP_H_RESIZE_HPT_PREPARE:
      return ROW_BULK_REMOVE + 3;
    case OP_H_RESIZE_HPT_COMMIT:
      return ROW_BULK_REMOVE + 4;
    default:
      return (opcode & CONTROL_BIT) != 0 ? ROW_BULK_REMOVE + 5 : 0;
  }
}

function column(status: i32): u32 {
  switch (status) {
    case H_PTEG_FULL:
      return 1;
    case H_NOT_FOUND:
      return 2;
    case H_PARAMETER:
      return 3;
    case H_BUSY:
      return 4;
    case H_CLOSED:
      return 5;
    case H_NOT_AVAILABLE:
      return 6;
    case H_PARTIAL:
      return 7;
    case H_CONTINUE:
      return 8;
    case H_LONG_BUSY_ORDER_100_MSEC:
      return 9;
    case H_HARDWARE:
      return 10;
    case H_FUNCTION:
      return 11;
    case H_NO_MEM:
      return 12;
    case H_RESOURCE:
      return 13;
    case H_TOO_BIG:
      return 14;
    default:
      return 15;
  }
}
