/** @file The data contract: what does not fit is named, and nothing of a row is told. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TributaryError } from '../../core/errors.ts';
import { checkContract } from '../../core/site/contract.ts';
import { languageOf } from '../../core/site/language.ts';

function refusal(...request: Parameters<typeof checkContract>): string {
  try {
    checkContract(...request);
  } catch (error) {
    if (error instanceof TributaryError && error.code === 'data.contract') return error.message;
    throw error;
  }
  return '';
}

const row = (response: string, instruction = 'What is the sentiment of this news?') => ({
  instruction,
  response,
});
const labels = { response: ['positive', 'negative'] };

describe('labels', () => {
  it('that are the contract’s pass', () => {
    expect(refusal({ labels }, [row('positive'), row('negative')])).toBe('');
  });

  it('that only look like them are refused, by counts and the contract’s own words', () => {
    const rows = [row('pos'), row('negative'), row('Positive')];
    expect(refusal({ labels }, rows)).toContain(
      'data.labels.response: expected one of “positive”, “negative” in every row; of 3 rows 0 have “positive”, 1 have “negative” and 2 something else.',
    );
  });

  it('never tell anything of a row', () => {
    const secret = fc.stringMatching(/^[QXZ]{6,12}[0-9]{4}$/);
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 5 }), (words) => {
        const said = refusal(
          { labels, fields: ['instruction', 'source'], language: 'de', minimumRows: 99 },
          words.map((word) => ({ ...row(word, `${word} the of and is that`), [word]: word })),
        );
        for (const word of words) expect(said).not.toContain(word);
        for (const field of ['labels.response', 'fields', 'language', 'minimumRows']) {
          expect(said).toContain(`data.${field}`);
        }
      }),
    );
  });
});

it('fields that are missing or empty are counted', () => {
  const rows = [row('positive'), row('  '), { instruction: 'x', response: [] }];
  expect(refusal({ fields: ['instruction', 'response'] }, rows)).toContain(
    'expected “response” in every row, found nothing there in 2 of 3.',
  );
});

it('too few rows are told by their number', () => {
  expect(refusal({ minimumRows: 4 }, [row('positive')])).toContain('expected at least 4, found 1.');
  expect(refusal({ minimumRows: 1 }, [row('positive')])).toBe('');
});

describe('the language', () => {
  it.each([
    ['en', 'Which of these is the reason that the loan was not approved by the bank?'],
    ['de', 'Welche Unterlagen werden für das Konto benötigt und wie lange dauert es, bis es geprüft ist?'],
    ['fr', 'Quels sont les documents que vous demandez pour ouvrir un compte dans une agence?'],
    ['es', 'El banco no está abierto los domingos, pero se puede pagar con la tarjeta y por internet.'],
    ['it', 'Il conto non è stato aperto, anche se i documenti della banca sono nel sistema di controllo.'],
    ['pt', 'Você não precisa de um novo cartão para fazer uma compra, mais os dados do banco são pedidos.'],
    ['nl', 'Het is niet nodig om een nieuwe rekening te openen, maar wat voor papieren zijn er bij de bank?'],
    ['zh', '请告诉我这个账户的余额是多少，谢谢。'],
    ['ja', 'この口座の残高を教えてください。'],
    ['ko', '이 계좌의 잔액을 알려 주세요.'],
    ['ru', 'Сообщите, пожалуйста, остаток на счёте.'],
    ['ar', 'من فضلك أخبرني برصيد هذا الحساب.'],
  ])('%s is told', (language, text) => {
    expect(languageOf(text)).toBe(language);
  });

  it('is not told of too little, and such rows speak for none', () => {
    expect(languageOf('positive')).toBeNull();
    expect(refusal({ language: 'de' }, [{ response: 'positive' }])).toBe('');
  });

  it('of most rows decides', () => {
    const english = { text: 'Which of these is the reason that the loan was not approved by the bank?' };
    const german = { text: 'Welche Unterlagen werden für das Konto benötigt und wie lange dauert es?' };
    expect(refusal({ language: 'en' }, [english, english, german])).toBe('');
    expect(refusal({ language: 'en' }, [english, german, german])).toContain(
      'expected en; 1 of 3 rows are written in it and 2 in another language.',
    );
  });
});
