import { isMuslSystem } from '../process/musl.ts';

/** Read by WebKit's allocator (`bmalloc`, `Environment.cpp`) when a process starts; it counts when it exists, whatever its value. */
export const engineAllocatorVariable = 'Malloc';

/**
 * Lets the engine in opencode's binary take its memory from the C library: its own allocator gives pages back to the kernel several
 * hundred times a prompt, and faults them in again (docs/decisions/0015). Not with musl, whose allocator serves one thread at a time;
 * not on macOS, where it was not measured.
 */
export async function engineAllocator(): Promise<Record<string, string>> {
  return process.platform === 'linux' && !(await isMuslSystem()) ? { [engineAllocatorVariable]: '1' } : {};
}
