export { createJournal, openJournal, type JournalOptions } from './journal/sqlite-journal.ts';
export type * from './journal/events.ts';
