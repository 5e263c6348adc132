/**
 * What is wrong with the URL of a file for a prompt; undefined when nothing is. opencode takes what it cannot read, and never begins the
 * turn.
 *
 * @example
 * fileUrlProblem('data:,%zz') // 'its text is not percent-encoded'
 */
export function fileUrlProblem(url: string): string | undefined {
  if (!URL.canParse(url)) return 'it is not a URL (file:, data:, https:)';
  const { protocol, host, pathname } = new URL(url);
  if (protocol === 'data:') return dataProblem(url);
  if (protocol !== 'file:') return undefined;
  if (host !== '') return `it names the machine ${host}, and only files of this one can be read`;
  return isEncoded(pathname) ? undefined : 'its path is not percent-encoded';
}

function dataProblem(url: string): string | undefined {
  const comma = url.indexOf(',');
  if (comma === -1) return 'it has no comma before its data';
  if (/;\s*base64\s*$/i.test(url.slice(0, comma))) return undefined;
  return isEncoded(url.slice(comma + 1)) ? undefined : 'its text is not percent-encoded';
}

function isEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
