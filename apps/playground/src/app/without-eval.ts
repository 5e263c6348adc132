import { config } from 'zod';

// Before any schema is made: one that is compiled needs `eval`, which the page's content security policy forbids.
config({ jitless: true });
