/** @file What is wrong with a plan: the field, a sentence, and whether it is a mistake or beyond this version. */

export interface PlanProblem {
  readonly code: 'plan.invalid' | 'plan.unsupported';
  /** Path of the field to change, such as `training.steps`; empty where it is the whole. */
  readonly field: string;
  readonly message: string;
}

/** Fields that contradict themselves or each other. */
export const invalid = (field: string, message: string): PlanProblem => ({
  code: 'plan.invalid',
  field,
  message,
});

/** What could be meant but is not done. */
export const unsupported = (field: string, message: string): PlanProblem => ({
  code: 'plan.unsupported',
  field,
  message,
});
