"""What λ, β and ρ do to a code of the digits: writes the tables of `choosing.rst`.

python docs/guide/measure_choosing.py
"""

from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skl_sae import SparseAutoencoder

CASES = {
    "lam": [0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
    "beta": [0, 0.03, 0.3, 3, 30],
    "rho": [0.01, 0.05, 0.1, 0.2, 0.5],
}
SYMBOLS = {"lam": "λ", "beta": "β", "rho": "ρ"}
HEAD = ["mean activation", "spread of a unit", "explained variance", "accuracy of a classifier"]


def measure(train, test, **params):
    """Mean code, standard deviation of a unit, score on test rows, accuracy of a classifier."""
    (X, y), (X_test, y_test) = train, test
    sae = SparseAutoencoder(random_state=0, **params).fit(X)
    code = sae.transform(X)
    classifier = LogisticRegression(C=100, max_iter=5000).fit(code, y)
    accuracy = classifier.score(sae.transform(X_test), y_test)
    return sae.mean_activation_.mean(), code.std(axis=0).mean(), sae.score(X_test), accuracy


def table(name, values, train, test):
    """One parameter varied, the others at their defaults: a list-table."""
    rows = [[SYMBOLS[name], *HEAD]]
    for value in values:
        results = measure(train, test, **{name: value})
        rows.append([f"{value:g}", *(f"{abs(r) if abs(r) < 5e-3 else r:.2f}" for r in results)])
    lines = ["", ".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'*' if k == 0 else ' '} - {cell}" for k, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def main():
    """Write one file for each parameter."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.3, random_state=0, stratify=y
    )
    for name, values in CASES.items():
        text = table(name, values, (X_train, y_train), (X_test, y_test))
        Path(__file__).with_name(f"choosing_{name}.inc").write_text(text)
        print(text)


if __name__ == "__main__":
    main()
