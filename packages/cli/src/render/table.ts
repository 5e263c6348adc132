export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** Lines of a plain table: columns as wide as their widest cell, two spaces between them, none after the last. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: (title: string) => string = (title) => title,
): string[] {
  const widths = columns.map(({ title }, index) => Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) =>
        align === 'right' ? (cells[index] ?? '').padStart(widths[index]!) : (cells[index] ?? '').padEnd(widths[index]!),
      )
      .join('  ')
      .trimEnd();
  return [style(line(columns.map(({ title }) => title))), ...rows.map(line)];
}
