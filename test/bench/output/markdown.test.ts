/** The result in GitHub's Markdown: tables that are tables, text that means itself. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderMarkdown } from '../../../bench/output/markdown.ts';
import { ledgerOf } from '../../support/books.ts';
import { resultOf, scenarioResult } from '../../support/result.ts';
import { BUSY_GATE, measuredRun, variantsOf } from './measured.ts';

/** Everything before the folded report. */
function visible(text: string): string {
  return text.split('<details>')[0] as string;
}

test('every table has a rule, and rows as long as its head, apart from the text around it', () => {
  const runs = variantsOf(measuredRun({ variant: 'a | b' }), measuredRun({ variant: 'w16' }));
  const text = visible(renderMarkdown(resultOf([measuredRun(), runs])));
  const blocks = text.split('\n\n').filter((block) => block.startsWith('|'));
  assert.is(blocks.length, 4);
  for (const block of blocks) {
    const rows = block.trimEnd().split('\n');
    assert.match(rows[1] as string, /^\| :--( \| (:--|--:))+ \|$/);
    const cells = rows.map((row) => row.replaceAll('\\|', '').split('|').length);
    assert.is(new Set(cells).size, 1, block);
  }
});

test('shows latencies, throughput, ledger, server and generator', () => {
  const text = renderMarkdown(resultOf([measuredRun()]));
  for (const line of [
    '## ackbench: pass',
    '### a-scenario: pass',
    'relay, memory, 10 clients, 1,000 messages',
    '| confirm | 20,000 | 10.0 ms | 18.0 ms | 19.8 ms | - | 20.0 ms |',
    '| Throughput | offered 100/s, achieved 99.0/s (open) |',
    '| Server | 12.5 us CPU/message, peak memory 128 MiB |',
    '| Generator | 9.00 us CPU/message, busy 20.0 %, at most 30.0 % |',
  ]) {
    assert.ok(text.split('\n').includes(line.replace('99.0/s', '99/s')), line);
  }
  assert.match(text, '| Must be zero | lost 0, falseConfirm 0, duplicated 0');
});

test('what is wrong is listed once, and stands out', () => {
  const run = measuredRun({
    verdict: 'fail',
    reasons: ['lost: 2 of 1000 messages', 'threshold confirm.p99<1ms missed: it is 19792'],
    ledger: ledgerOf({ attempted: 1000, accepted: 1000, delivered: 998, lost: 2 }),
    gates: [{ ...BUSY_GATE, name: 'fine', ok: true }, BUSY_GATE],
    thresholds: [
      { threshold: 'confirm.p99<1ms', value: 19_792, ok: false },
      { threshold: 'ledger.unknown==0', value: 0, ok: true },
    ],
  });
  const text = visible(renderMarkdown(resultOf([run], { verdict: 'fail' })));
  assert.match(
    text,
    [
      '\n\n- lost: 2 of 1000 messages',
      '- threshold confirm.p99\\<1ms: 19.8 ms, **missed**',
      '- threshold ledger.unknown==0: 0, ok\n\n',
    ].join('\n'),
  );
  assert.match(text, '**2 lost**');
  assert.match(text, '| Must be zero | **lost 2**, falseConfirm 0');
  assert.match(text, '| Gates | 1 of 2 met, **G3 generator busy: 0.930 (\\<= 0.7)** |');
});

test('text cannot become markup', () => {
  const reason = '<script>*a*</script> | `b` [c](d)\n# e';
  const text = visible(
    renderMarkdown(resultOf([scenarioResult({ verdict: 'fail', reasons: [reason] })])),
  );
  const line = text.split('\n').find((one) => one.includes('script'));
  assert.is(line, '- \\<script\\>\\*a\\*\\</script\\> \\| \\`b\\` \\[c\\](d) \\# e');
});

test('variants are rows, and the sum keeps what is counted over all of them', () => {
  const text = visible(
    renderMarkdown(
      resultOf([variantsOf(measuredRun({ variant: 'w1' }), measuredRun({ variant: 'w16' }))]),
    ),
  );
  assert.match(text, '| w1 | pass | 99 | 10.0 ms | 19.8 ms | 12.5 | 128 MiB |');
  assert.match(text, '| w16 | pass |');
  assert.match(text, '| Ledger |');
  assert.not.match(text, '| Generator |');
});

test('the report of the terminal is folded at the end, without its colours', () => {
  const before = process.env['FORCE_COLOR'];
  process.env['FORCE_COLOR'] = '1';
  try {
    const text = renderMarkdown(resultOf([measuredRun()]));
    assert.match(text, /<details><summary>.*<\/summary>\n\n~~~~text\n/);
    assert.match(text, /\nPASS: 1 scenario, .* seed 42\n~~~~\n\n<\/details>\n$/);
    assert.not.match(text, '\u001b');
  } finally {
    if (before === undefined) delete process.env['FORCE_COLOR'];
    else process.env['FORCE_COLOR'] = before;
  }
});

test.run();
