/** A problem as a client gets it, in problem+json. SPEC: RFC 9457. */
import { z } from 'zod';
import { PROBLEMS } from './problems.ts';
import type { ProblemError } from './problems.ts';

export const problemDocument = z.object({
  type: z.string().describe('address of the explanation, relative to the daemon'),
  title: z.string(),
  status: z.int().min(400).max(599),
  detail: z.string().describe('what is wrong with this very request'),
  code: z.string().describe('stable name of the problem, for programs'),
  instance: z.string().optional().describe('the address that was asked'),
  whatToDo: z.string(),
  traceId: z
    .string()
    .optional()
    .describe('the same in the log of the daemon; that of the request, if it brought one'),
  errors: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .optional()
    .describe('each thing that is wrong'),
});

export type ProblemDocument = z.output<typeof problemDocument>;

/** The document that a client gets. */
export function renderProblem(
  error: ProblemError,
  instance?: string,
  traceId?: string,
): ProblemDocument {
  return {
    type: `/problems/${error.code}`,
    title: error.title,
    status: error.status,
    detail: error.detail,
    code: error.code,
    ...(instance === undefined ? {} : { instance }),
    whatToDo: PROBLEMS[error.code].whatToDo,
    ...(traceId === undefined ? {} : { traceId }),
    ...(error.errors === undefined ? {} : { errors: [...error.errors] }),
  };
}
