// Equations: what arithmatex marked is drawn by KaTeX, which lies beside this file.
document.querySelectorAll(".arithmatex").forEach((element) => {
  const marked = element.textContent.trim();
  const display = marked.startsWith("\\[");
  katex.render(marked.slice(2, -2), element, { displayMode: display, throwOnError: false });
});
