/** @file A rehearsal that waits for a person at a site. */

export const rehearsal = {
  title: (name: string) => `${name}: may it be rehearsed here?`,
  lead: 'The coordinator asks how this plan would go at your site before proposing it. It is no run: no adapter is changed, and taking part is decided later.',
  ofFederation: (federation: string) => `For ${federation}.`,
  measured: 'What is measured',
  measuredSentences: (steps: string) => [
    'Whether your rows fit what the plan asks of them.',
    `What ${steps} steps of training take here, in time and memory. What they learn is thrown away.`,
  ],
  leavesSentences: [
    'Which parts of the plan’s data contract your rows do not fit, by their names.',
    'The number of rows it would train on, and of the steps of a round.',
    'Seconds a step and tokens a second.',
    'The memory it took and the memory it may take, the number format and the kind of device.',
  ],
  neverUpdate: 'Rows and updates do not leave.',
  approve: 'Rehearse here',
  approveFailed: 'The rehearsal was not approved',
  declineTitle: (name: string) => `Decline the rehearsal of ${name}?`,
  declineLead: 'The coordinator hears that this site was not measured. A run may still be proposed.',
};
