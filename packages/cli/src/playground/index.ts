export { openInBrowser } from './browser.ts';
export { checkPageFlags, keepPage, openPage, supportPages, type PageSupport } from './for-command.ts';
export { RunFeed } from './run-feed.ts';
export { servePage, type PageServer } from './server.ts';
