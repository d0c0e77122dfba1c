// The view of health: what the device knows of itself, in sentences, the worst first.
const WORDS = { good: "well", note: "note", bad: "wrong" };

export async function fillHealth(table) {
  const answer = await fetch("/api/health").catch(() => null);
  if (!answer?.ok) return;
  const { sentences } = await answer.json();
  table.replaceChildren(...sentences.map(({ level, about, text }) => {
    const row = document.createElement("tr");
    const cells = [WORDS[level], about, text].map((words) => {
      const cell = document.createElement("td");
      cell.textContent = words;
      return cell;
    });
    cells[0].className = level;
    row.append(...cells);
    return row;
  }));
}
