/** A usable opencode binary. */
export interface BinaryInfo {
  readonly path: string;
  readonly version: string;
  /** Where it was found. */
  readonly source: 'option' | 'OPENCODE_BIN' | 'PATH' | 'package';
}
export const supportedVersions = { min: '1.18.0', below: '2.0.0' };
export async function findBinary(_options: { readonly binary?: string } = {}): Promise<BinaryInfo> {
  throw new Error('being written');
}
