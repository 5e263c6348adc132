export { checkPageFlags, keepPage, openPage, type PageFlags } from './for-command.ts';
export { servePage, type PageServer } from './server.ts';
