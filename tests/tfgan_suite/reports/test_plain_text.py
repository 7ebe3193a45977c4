"""Text from a run's folder shows as it is, wherever it goes, and does nothing."""

import csv
import io

import pytest

from tfgan_suite.reports.plain_text import csv_cell, file_name, markdown, plain

LOST = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Grüße, 猫 <b>", "Grüße, 猫 <b>"),
        ("two\nlines\x1b[31m", f"two{LOST}lines{LOST}[31m"),
        ("\u202egnp.exe", f"{LOST}gnp.exe"),  # right to left
        ("bad \udcff byte", f"bad {LOST} byte"),
        ("x" * 300, "x" * 200 + "..."),
        (None, "null"),
        ({"b": [1]}, '{"b": [1]}'),
    ],
)
def test_plain_is_one_visible_line(value, shown):
    assert plain(value) == shown
    plain(value).encode()


def test_markdown_takes_nothing_for_markup():
    assert markdown("a|b `c` *d* [e](f) ~g~ $h$ \\") == r"a\|b \`c\` \*d\* \[e\](f) \~g\~ \$h\$ " + "\\\\"
    assert markdown("<script> & co") == "&lt;script&gt; &amp; co"
    assert markdown("frechet_classifier_distance") == "frechet_classifier_distance"  # is no emphasis inside a word
    assert markdown("_emphasis_") == r"\_emphasis\_"


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd|x", "@SUM(1)", "\tx", "\rx"])
def test_a_spreadsheet_sees_no_formula(text):
    out = io.StringIO()
    csv.writer(out).writerow([csv_cell(text)])
    ((cell,),) = csv.reader(io.StringIO(out.getvalue()))
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["dcgan on shapes", "-0.5", "-1.5e-05 0.25", "0"])
def test_numbers_and_plain_words_stay_in_a_csv(text):
    assert csv_cell(text) == text


def test_a_file_name_stays_in_its_folder():
    assert file_name("../../etc/passwd") == "etc-passwd"
    assert file_name("frechet_classifier_distance") == "frechet_classifier_distance"
    assert file_name("..") == "unnamed" and len(file_name("x" * 500)) == 80
