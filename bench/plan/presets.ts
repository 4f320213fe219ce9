/**
 * Three kinds of messaging, as inputs of a plan, each number with its public source or the word
 * "assumed". They are a place to start from: whoever has figures of their own should give them.
 */
import type { FieldKey } from './fields.ts';

interface Given {
  readonly value: number;
  /** Where the number comes from; starts with `assumed` when nobody published it. */
  readonly source: string;
}

export type Preset = Readonly<Partial<Record<FieldKey, Given>>>;

const WHATSAPP = 'WhatsApp in 2014';
const COMM100 = 'Comm100, AI Live Chat Benchmark 2026';

export const PRESETS: Readonly<Record<string, Preset>> = {
  'team-chat': {
    dailyUsers: { value: 100_000, source: 'assumed: give your own' },
    peakConcurrent: {
      value: 0.8,
      source:
        'Slack: 10 million connected at once (March 2020, convergedigest.com) of 12 million daily ' +
        'users (September 2019, slack.com)',
    },
    messagesPerUserPerDay: {
      value: 153,
      source: 'Microsoft Work Trend Index, June 2025: Teams messages received per weekday',
    },
    peakFactor: {
      value: 3.5,
      source:
        'assumed: nine tenths within eight hours (24 / 8 x 0.9 = 2.7), peaks a third above; ' +
        'slack.engineering, Real-time Messaging, shows peaks at 11 and 14 h',
    },
    offlineShare: { value: 0.15, source: 'assumed: most write to who is at work' },
    loginsPerUserPerDay: { value: 6, source: 'assumed: laptop and phone, each opened thrice' },
    retentionDays: { value: 30, source: 'assumed' },
    payloadBytes: { value: 256, source: 'CecoChat, docs/research-calculations.md' },
    sloP99Ms: { value: 100, source: 'assumed: the SLO that ackbench searches with' },
  },
  'consumer-messenger': {
    dailyUsers: { value: 1_000_000, source: 'assumed: give your own' },
    peakConcurrent: {
      value: 0.45,
      source: `${WHATSAPP}: 147 million connections (Reed, Erlang Factory) of 320 million daily users`,
    },
    messagesPerUserPerDay: {
      value: 100,
      source:
        `${WHATSAPP}: 50 billion in and out a day (highscalability.com), about 32 out, ` +
        'of 320 million daily users',
    },
    peakFactor: {
      value: 2,
      source: `${WHATSAPP}: 712,000/s out at the peak (Reed) over 370,000/s in the mean`,
    },
    offlineShare: { value: 0.3, source: 'assumed: less than the half that is not connected' },
    loginsPerUserPerDay: {
      value: 31,
      source: `${WHATSAPP}: 230,000 logins/s at the peak (Reed), over the same factor, of 320 million`,
    },
    retentionDays: {
      value: 30,
      source: 'WhatsApp privacy policy: undelivered messages are kept for 30 days',
    },
    payloadBytes: {
      value: 128,
      source:
        'assumed: 40 letters in the mean of 474,562 messages (process-one.net), and a wrapper',
    },
    sloP99Ms: { value: 100, source: 'assumed: the SLO that ackbench searches with' },
  },
  'customer-support': {
    dailyUsers: { value: 20_000, source: 'assumed: give your own; a chat is a user' },
    peakConcurrent: {
      value: 0.05,
      source: `${COMM100}: chats of 8 min 50 s, a fifth of them in the busiest hour (0.03), and an agent per 57 (0.02)`,
    },
    messagesPerUserPerDay: { value: 20, source: 'assumed: ten messages of either side' },
    peakFactor: {
      value: 4.8,
      source: "kpitree.co's example of peak support hours: a fifth of the day in one hour, x 24",
    },
    offlineShare: { value: 0.05, source: 'assumed: who chats, waits' },
    loginsPerUserPerDay: { value: 3, source: 'assumed: a page is changed twice' },
    retentionDays: { value: 90, source: 'assumed' },
    payloadBytes: { value: 256, source: 'CecoChat, docs/research-calculations.md' },
    sloP99Ms: { value: 200, source: 'assumed: people, not machines, answer' },
  },
};
