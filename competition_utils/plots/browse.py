"""Tables to browse in a notebook: they scroll, and a field above them keeps the rows that have what is typed."""

from __future__ import annotations

import hashlib
import html

import pandas as pd
from IPython.display import HTML

BOX = {"display": "block", "max-height": "460px", "overflow": "auto", "width": "fit-content"}
CELL = {"text-align": "left", "unicode-bidi": "plaintext", "max-width": "340px"}
HEAD = {"position": "sticky", "top": "0", "background": "#F4F5F7"}
STYLES = [
    {"selector": "", "props": list(BOX.items())},
    {"selector": "td", "props": list(CELL.items())},
    {"selector": "caption", "props": [("text-align", "left"), ("font-weight", "bold")]},
    {"selector": "thead th", "props": list(HEAD.items())},
]
# The script makes the field: where scripts do not run, as in a notebook that is not trusted, the table stands
# alone. Rows have to hold every word typed, in any cell, whatever the case or the width of the letters.
SEARCH = """
<script>
(() => {
  const table = document.getElementById("T_%s");
  if (!table || table.dataset.searched) return;
  table.dataset.searched = "yes";
  const plain = (text) => text.normalize("NFKC").toLowerCase();
  const rows = Array.from(table.tBodies[0].rows, (row) => [row, plain(row.textContent)]);
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "search in the rows";
  field.setAttribute("aria-label", "search in the rows");
  const found = document.createElement("span");
  found.style.marginLeft = "8px";
  field.addEventListener("input", () => {
    const words = plain(field.value).split(/\\s+/).filter(Boolean);
    let shown = 0;
    for (const [row, text] of rows) {
      const fits = words.every((word) => text.includes(word));
      row.style.display = fits ? "" : "none";
      shown += fits;
    }
    found.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  });
  const bar = document.createElement("div");
  bar.append(field, found);
  table.before(bar);
})();
</script>
"""


def browsable(table: pd.DataFrame, caption: str) -> HTML:
    """A table that scrolls within a fixed height, its head in sight, with a search field above.

    Self-contained HTML, so that it is there in headless runs; every text in it is escaped, names of rows and columns
    as well. Equal tables give equal bytes.
    """
    styled = table.style.format(precision=3, escape="html").set_table_styles(STYLES).set_caption(html.escape(caption))
    for axis in ("index", "columns"):
        styled = styled.format_index(escape="html", axis=axis).format_index_names(escape="html", axis=axis)
    name = hashlib.sha256(f"{caption}\n{table.to_csv()}".encode()).hexdigest()[:12]
    # Row names are not merged: a merged cell would go with the one row that it hangs on.
    return HTML(styled.to_html(table_uuid=name, sparse_index=False) + SEARCH % name)
