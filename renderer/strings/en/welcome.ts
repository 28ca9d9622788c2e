/** @file The first screen. */

export const welcome = {
  title: 'Learn together. Keep the data here.',
  lead: 'Tributary trains a language model with other institutions. Your rows stay on this machine; what leaves is what the model learned from them, and you see every byte of it counted.',
  joinTitle: 'Join with an invitation',
  joinLead: 'The coordinator of the federation has sent you one line or a file. Paste it or drop it here.',
  invitation: 'Invitation',
  placeholder: 'tributary1.…',
  drop: 'Drop it to read it',
  notInvitation: 'An invitation is one line that begins with “tributary1.”',
  federation: 'Federation',
  hub: 'Hub',
  expires: 'Valid until',
  expired: 'This invitation has expired. Ask the coordinator for a new one.',
  fingerprint: 'Fingerprint of the hub',
  compare: 'Ask the coordinator to read it to you over the telephone. If one character differs, do not join.',
  siteName: 'Name of your site',
  siteHint: 'Other members and the hub see it, such as “Clinic North”.',
  siteFixed: 'The coordinator has chosen this name.',
  join: 'Join',
  joining: 'Joining…',
  missingInvitation: 'Paste an invitation to join',
  missingName: 'Name your site to join',
  failed: 'Joining did not work',
  aloneTitle: 'Try it alone',
  aloneText:
    'Train on a bundled sample of three invented clinics. Nothing leaves this machine, nobody has to be asked.',
  alone: 'Look around and train alone',
  hostTitle: 'Host a hub',
  hostText:
    'The hub joins what sites have learned. It runs on a server that all sites can reach. Two commands set it up:',
  hostMore: 'Then open its window with “tributary hub ui” and invite the sites.',
};
