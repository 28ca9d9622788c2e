import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findPersonal } from '../../core/vault/personal/find.ts';
import type { PersonalKind } from '../../core/vault/personal/kinds.ts';
import { PERSONAL_KINDS } from '../../core/vault/personal/kinds.ts';
import { maskText, veil } from '../../core/vault/personal/masking.ts';
import { screenRows } from '../../core/vault/personal/screening.ts';
import { startTreatment } from '../../core/vault/personal/treatment.ts';

/** What is found, as `kind: text`. */
const found = (text: string) =>
  findPersonal(text).map(({ kind, start, end }) => `${kind}: ${text.slice(start, end)}`);

/** Texts with what is to be found in them. All persons, numbers and places are made up. */
const THERE: Record<PersonalKind, readonly (readonly [text: string, found: string])[]> = {
  email: [
    ['Write to ada.smith+lab@mail.example.org.', 'ada.smith+lab@mail.example.org'],
    ['邮箱：wang_01@example.com，谢谢', 'wang_01@example.com'],
  ],
  iban: [
    ['Pay to GB82 WEST 1234 5698 7654 32 AND wait', 'GB82 WEST 1234 5698 7654 32'],
    ['DE89370400440532013000', 'DE89370400440532013000'],
  ],
  'card-number': [
    ['card 4111 1111 1111 1111 expires', '4111 1111 1111 1111'],
    ['5555-5555-5555-4444', '5555-5555-5555-4444'],
    ['amex 378282246310005.', '378282246310005'],
    ['银联卡6200000000000005', '6200000000000005'],
  ],
  'national-id': [
    ['身份证 11010519491231002X。', '11010519491231002X'],
    ['SSN 123-45-6789', '123-45-6789'],
    ['Her social security number is 123456789.', '123456789'],
    ['身份证号：110105194912310021', '110105194912310021'],
  ],
  'record-number': [
    ['MRN: 00482913, seen again', '00482913'],
    ['Medical record no. AB-123456', 'AB-123456'],
    ['NHS number 943 476 5919', '943 476 5919'],
    ['referred with 9434765919 on the form', '9434765919'],
    ['住院号：ZY2023001234，', 'ZY2023001234'],
    ['Policy number: PX998877', 'PX998877'],
  ],
  date: [
    ['Seen on 2023-02-28.', '2023-02-28'],
    ['born 03/14/1962', '03/14/1962'],
    ['am 28.2.1999 geboren', '28.2.1999'],
    ['since 12 March 2021', '12 March 2021'],
    ['on March 12th, 2021 she', 'March 12th, 2021'],
    ['出生于1962年3月14日', '1962年3月14日'],
  ],
  phone: [
    ['call (212) 555-0147 x12', '(212) 555-0147 x12'],
    ['+44 20 7946 0958', '+44 20 7946 0958'],
    ['ring 07700 900123 today', '07700 900123'],
    ['手机13812345678。', '13812345678'],
    ['座机 010-62345678', '010-62345678'],
    ['Tel: 5550147', '5550147'],
  ],
  address: [
    ['lives at 12 Elm Street, Springfield, IL 62704.', '12 Elm Street, Springfield, IL 62704'],
    ['Flat 4, 221B Baker Street', 'Flat 4, 221B Baker Street'],
    ['near SW1A 1AA', 'SW1A 1AA'],
    ['P.O. Box 1234', 'P.O. Box 1234'],
    ['家住北京市海淀区学院路12号3单元502室', '家住北京市海淀区学院路12号3单元502室'],
    ['Address: 5 The Old Mill, Upper Town', '5 The Old Mill, Upper Town'],
  ],
  name: [
    ['Dr. Amelia van der Berg wrote', 'Amelia van der Berg'],
    ['seen by Mr O’Neill', 'O’Neill'],
    ['Patient: Jane Q. Roe', 'Jane Q. Roe'],
    ['Patient name: Roe, Jane', 'Roe, Jane'],
    ['姓名：欧阳小明，男', '欧阳小明'],
    ['患者李明，男，45岁', '李明'],
    ['请王医生会诊', '王'],
    ['由张某代签', '张某'],
  ],
};

/** Texts in which that kind is not to be found. */
const NOT_THERE: Record<PersonalKind, readonly string[]> = {
  email: ['see @home or user@', 'price @ 5.00', 'a@b', 'C@rdiology 5mg@noon'],
  iban: ['GB82 WEST 1234 5698 7654 33', 'DE8937040044053201300', 'ZZ89370400440532013000', 'ICD10 E11 9'],
  'card-number': [
    '4111 1111 1111 1112',
    '1234 5678 9012 3452',
    'gi|4111111111111111a',
    '0.4111111111111111',
    '411111111111',
  ],
  'national-id': [
    '110105194912310021',
    '11010519491331002X',
    '000-45-6789',
    '666-45-6789',
    '123-00-6789',
    '1123-45-6789',
  ],
  'record-number': [
    '9434765918',
    '1111111111',
    'the record number of visitors',
    'account for 12 % of',
    'admission rate 0.52',
  ],
  date: [
    '2023-02-30',
    '120/80',
    '1/2 tablet',
    '13/13/2020',
    'in 2019',
    'May 2020',
    '3.4.5',
    'version 1.2.2020.1',
  ],
  phone: [
    '1990-1994',
    '10.1016/j.cell.2020.01.001',
    '120-180-240',
    '1234567890',
    'PMID 23831910',
    '2020-2021 555',
  ],
  address: [
    'vitamin B12 5MG',
    '10 patients',
    '5 Main results',
    'In 2020 Harvard found',
    '公路12公里',
    'address: unknown',
  ],
  name: [
    'Patient: Female',
    'Patient: I have a cough',
    'Doctor: How long have you had it?',
    'Drug name: Aspirin',
    'MS patients',
    'The Dr. said',
    '患者高血压，3年',
    '向医生咨询',
    '患者和医生',
    'Ms The',
    'the research nurse. Both were',
  ],
};

describe.each(PERSONAL_KINDS)('%s', (kind) => {
  it.each(THERE[kind])('%s', (text, expected) => {
    expect(found(text)).toEqual([`${kind}: ${expected}`]);
  });

  it.each(NOT_THERE[kind])('not in %s', (text) => {
    expect(findPersonal(text).filter((finding) => finding.kind === kind)).toEqual([]);
  });
});

describe('masking', () => {
  it('replaces each finding by its kind and changes nothing else', () => {
    const text = 'Patient: Jane Roe, MRN 4829133, (212) 555-0147.\n\n身份证11010519491231002X\t“ok”';
    expect(maskText(text, findPersonal(text))).toBe(
      'Patient: [NAME], MRN [RECORD NUMBER], [PHONE].\n\n身份证[NATIONAL ID]\t“ok”',
    );
  });

  it('leaves a text the same where nothing is masked, keeps what lies between findings, and finds nothing anew', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
        expect(maskText(text, [])).toBe(text);
        const framed = `${text} a@example.org ${text}`;
        const [before, after] = maskText(framed, findPersonal(framed)).split(' [EMAIL] ');
        expect([before, after]).toEqual([
          maskText(text, findPersonal(text)),
          maskText(text, findPersonal(text)),
        ]);
      }),
    );
    for (const kind of PERSONAL_KINDS)
      for (const [text] of THERE[kind]) expect(found(maskText(text, findPersonal(text)))).toEqual([]);
  });

  it('shows no more of a finding than its first character and its form', () => {
    expect(veil('ada.smith@example.org')).toBe('a•••.•••@•••.•••');
    expect(veil('4111 1111')).toBe('4••• •••');
    expect(veil('欧阳小明')).toBe('欧•••');
  });
});

describe('startTreatment', () => {
  const row = (text: string) => ({ messages: [{ role: 'user', content: text }], id: 7 });

  it('masks, leaves out and keeps as was chosen, and counts every kind that it met', () => {
    const treatment = startTreatment({ phone: 'mask', 'card-number': 'exclude', date: 'keep' });
    expect(treatment.treat(row('Call (212) 555-0147 on 2023-02-28.'))).toEqual(
      row('Call [PHONE] on 2023-02-28.'),
    );
    expect(treatment.treat(row('4111 1111 1111 1111 or (212) 555-0147'))).toBeNull();
    const plain = row('Nothing here; ada@example.org');
    expect(treatment.treat(plain)).toBe(plain);
    expect(treatment.masked()).toBe(1);
    expect(treatment.report()).toEqual({
      email: { choice: 'keep', findings: 1, rows: 1 },
      'card-number': { choice: 'exclude', findings: 1, rows: 1 },
      date: { choice: 'keep', findings: 1, rows: 1 },
      phone: { choice: 'mask', findings: 2, rows: 2 },
    });
  });
});

describe('screenRows', () => {
  it('counts findings and rows by kind, with veiled samples of the rows that it may look at', async () => {
    const rows = [
      { instruction: 'a@example.org b@example.org', response: 'none' },
      { instruction: 'none', response: 'Dr. Roe, c@example.org' },
      { instruction: 'd@example.org', response: 'beyond the limit' },
    ];
    const screening = await screenRows(rows, { limit: 2 });
    expect(screening.rows).toBe(2);
    expect(screening.findings).toEqual([
      {
        kind: 'email',
        count: 3,
        rows: 2,
        fields: ['instruction', 'response'],
        samples: ['a•••@•••.•••', 'b•••@•••.•••', 'c•••@•••.•••'],
        advice: 'mask',
      },
      { kind: 'name', count: 1, rows: 1, fields: ['response'], samples: ['R•••'], advice: 'mask' },
    ]);
    expect(JSON.stringify(screening)).not.toContain('example');
  });
});
