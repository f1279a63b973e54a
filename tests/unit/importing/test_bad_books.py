"""Books with something wrong: each problem is named with file, line and reason."""

from pathlib import Path

import pytest

from booking_service.importing.problems import BadBooks
from booking_service.importing.salon import read_salon
from tests.support.salon_books import SMALL, write_books


def problems(folder: Path) -> list[str]:
    """Read books that must be refused."""
    with pytest.raises(BadBooks) as refused:
        read_salon(folder, "Salon")
    assert str(refused.value).splitlines() == [str(each) for each in refused.value.problems]
    return [str(each) for each in refused.value.problems]


@pytest.mark.parametrize(
    ("file", "line", "text", "problem"),
    [
        (
            "bookings.csv",
            2,
            "C1,ANN,PERM,05/02/2018,10:00:00 AM,600",
            "service 'PERM' is not in services.csv",
        ),
        (
            "bookings.csv",
            2,
            "C1,ANN,CUT,02/30/2018,10:00:00 AM,600",
            "Date '02/30/2018' is not a day (mm/dd/yyyy)",
        ),
        (
            "bookings.csv",
            2,
            "C1,ANN,CUT,2018-05-02,10:00:00 AM,600",
            "Date '2018-05-02' is not a day (mm/dd/yyyy)",
        ),
        (
            "bookings.csv",
            2,
            "C1,ANN,CUT,05/02/0018,10:00:00 AM,600",
            "Date '05/02/0018' is not a day (mm/dd/yyyy)",
        ),
        (
            "bookings.csv",
            2,
            "C1,ANN,CUT,05/02/2018,25:00:00 AM,600",
            "Time '25:00:00 AM' is not a time (H:MM:SS AM)",
        ),
        (
            "bookings.csv",
            2,
            "C1,ANN,CUT,05/02/2018,10:00:00 AM,ten",
            "TimeInt 'ten' is not a whole number of 0 to 1439",
        ),
        (
            "bookings.csv",
            2,
            "C1,ANN,CUT,05/02/2018,10:00:00 AM,1440",
            "TimeInt '1440' is not a whole number of 0 to 1439",
        ),
        (
            "bookings.csv",
            2,
            "C1,ANN,CUT,05/02/2018,10:00:00 AM,601",
            "TimeInt 601 is not the Time, which is 600 minutes after midnight",
        ),
        ("bookings.csv", 2, "C1,,CUT,05/02/2018,10:00:00 AM,600", "Staff is empty"),
        (
            "bookings.csv",
            2,
            "C\x07,ANN,CUT,05/02/2018,10:00:00 AM,600",
            "Code has control characters",
        ),
        (
            "bookings.csv",
            2,
            f"{'C' * 201},ANN,CUT,05/02/2018,10:00:00 AM,600",
            "Code is longer than 200 characters",
        ),
        ("bookings.csv", 2, "C1,ANN,CUT,05/02/2018,10:00:00 AM", "has 5 columns, the heading 6"),
        (
            "bookings.csv",
            2,
            "C1,ANN,CUT,05/02/2018,10:00:00 AM,600,7",
            "has 7 columns, the heading 6",
        ),
        (
            "bookings.csv",
            4,
            "C2,ANN,CUT,05/02/2018,10:29:00 AM,629",
            "overlaps the booking of line 2 with the same Staff",
        ),
        ("bookings.csv", 1, "Code,Staff,Service,Date,Time,Minute", "column TimeInt is missing"),
        ("bookings.csv", 1, "Code,Code,Service,Date,Time,TimeInt", "column Code comes twice"),
        (
            "services.csv",
            2,
            "TRUE,CUT,A cut,STYLE,forty,5",
            "Price 'forty' is not an amount of at least 0 in whole cents",
        ),
        (
            "services.csv",
            2,
            "TRUE,CUT,A cut,STYLE,-1,5",
            "Price '-1' is not an amount of at least 0 in whole cents",
        ),
        (
            "services.csv",
            2,
            "TRUE,CUT,A cut,STYLE,1.005,5",
            "Price '1.005' is not an amount of at least 0 in whole cents",
        ),
        (
            "services.csv",
            2,
            "TRUE,CUT,A cut,STYLE,NaN,5",
            "Price 'NaN' is not an amount of at least 0 in whole cents",
        ),
        (
            "services.csv",
            2,
            "TRUE,CUT,A cut,STYLE,1e99,5",
            "Price '1e99' is not an amount of at least 0 in whole cents",
        ),
        ("services.csv", 2, "YES,CUT,A cut,STYLE,40,5", "IsActive 'YES' is not TRUE or FALSE"),
        ("services.csv", 5, "TRUE,CUT,A cut,STYLE,40,5", "service 'CUT' comes twice"),
        ("services.csv", 5, "TRUE,NEW,New,STYLE,40,5", "service 'NEW' has no row in durations.csv"),
        ("durations.csv", 5, "F&F,0", "Minutes '0' is not a whole number of 1 to 1440"),
        ("durations.csv", 5, "F&F,30\r\nCUT,30", "service 'CUT' comes twice"),
        ("hours.csv", 4, "BOB,7,10:00,20:00", "Weekday '7' is not a whole number of 0 to 6"),
        ("hours.csv", 4, "BOB,3,10:00,10:00", "Open is not before Close"),
        ("hours.csv", 4, "BOB,3,24:00,25:00", "Open '24:00' is not a time (HH:MM)"),
        ("hours.csv", 3, "ANN,2,12:59,18:00", "overlaps other hours of ANN on weekday 2"),
        (
            "cancellations.csv",
            2,
            "05/01/2018,C3,PERM,ANN,05/02/2018,BOB,1",
            "service 'PERM' is not in services.csv",
        ),
        (
            "cancellations.csv",
            2,
            "05/01/2018,C3,CUT,ANN,soon,BOB,1",
            "Booking Date 'soon' is not a day (mm/dd/yyyy)",
        ),
        ("no_shows.csv", 2, "05/02/2018,C2,PERM,ANN", "service 'PERM' is not in services.csv"),
        ("no_shows.csv", 2, "13/02/2018,C2,CUT,ANN", "Date '13/02/2018' is not a day (mm/dd/yyyy)"),
        (
            "receipts.csv",
            2,
            "1,05/02/2018,A cut,C1,ANN,1,4O,2,3",
            "Amount '4O' is not an amount in whole cents",
        ),
        (
            "receipts.csv",
            2,
            "1,05/02/2018,A cut,C1,ANN,one,40,2,3",
            "Quantity 'one' is not a whole number of -100000 to 100000",
        ),
        ("receipts.csv", 2, "1,05/02/2018,A cut,C1,,1,40,2,3", "Staff is empty"),
        (
            "receipts.csv",
            2,
            '1,05/02/2018,"A cut,C1,ANN,1,40,2,3',
            "is not comma-separated text: unexpected end of data",
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, file: str, line: int, text: str, problem: str) -> None:
    """One wrong line in otherwise sound books is refused with its file, line and reason."""
    lines = list(SMALL[file])
    lines[line - 1] = text
    write_books(tmp_path, {**SMALL, file: lines})
    assert f"{problem}" in [each.split(": ", 1)[1] for each in problems(tmp_path)]
    assert all(each.startswith((f"{file}:", "services.csv:")) for each in problems(tmp_path))
    if "\n" not in text and '"' not in text:
        assert any(each.startswith(f"{file}:{line}: ") for each in problems(tmp_path))


def test_all_problems_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    """Several wrong columns of a row, rows of a file and files come in one report, in order."""
    bookings = list(SMALL["bookings.csv"])
    bookings[2] = "C1,,PERM,soon,late,x"
    bookings[5] = ",BOB,CUT,05/03/2018"
    write_books(
        tmp_path, {**SMALL, "bookings.csv": bookings, "no_shows.csv": ("Date,Code,Service", "")}
    )
    (tmp_path / "receipts.csv").unlink()
    assert problems(tmp_path) == [
        "bookings.csv:3: Date 'soon' is not a day (mm/dd/yyyy)",
        "bookings.csv:3: Staff is empty",
        "bookings.csv:3: Time 'late' is not a time (H:MM:SS AM)",
        "bookings.csv:3: TimeInt 'x' is not a whole number of 0 to 1439",
        "bookings.csv:3: service 'PERM' is not in services.csv",
        "bookings.csv:6: has 4 columns, the heading 6",
        "no_shows.csv:1: column Staff is missing",
        "receipts.csv: cannot be read: No such file or directory",
    ]


def test_a_folder_that_is_not_there_misses_every_file(tmp_path: Path) -> None:
    """A wrong path names all seven files."""
    assert [each.split(":")[0] for each in problems(tmp_path / "nowhere")] == sorted(SMALL)


def test_text_in_another_encoding_is_named_by_its_line(tmp_path: Path) -> None:
    """A byte that is no UTF-8 is refused, never guessed at."""
    write_books(tmp_path, SMALL)
    path = tmp_path / "services.csv"
    path.write_bytes(path.read_bytes().replace(b"Treatment", b"Soin caf\xe9"))
    assert "services.csv:3: is not UTF-8 text" in problems(tmp_path)


def test_books_without_a_booking_are_refused(tmp_path: Path) -> None:
    """Empty books are a wrong folder, not an empty salon."""
    write_books(tmp_path, {**SMALL, "bookings.csv": SMALL["bookings.csv"][:1]})
    assert problems(tmp_path) == ["bookings.csv: has no bookings"]
