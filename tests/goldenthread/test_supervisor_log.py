"""A child's log is bounded on disk and in memory."""

from pathlib import Path

from goldenthread.supervisor.child_log import LINE_SIZE_BYTES_MAX, LINES_REMEMBERED, ChildLog


def test_the_file_is_rotated_by_size_and_old_parts_go(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "worker.log"
    for _ in range(2):  # A second start goes on in the same file.
        log = ChildLog(path, size_bytes_max=100, kept=2)
        for number in range(20):
            log.write(b"%039d\n" % number)
        log.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["worker.log", "worker.log.1", "worker.log.2"]
    assert all(file.stat().st_size <= 100 for file in path.parent.iterdir())
    numbers = [
        int(line)
        for name in ("worker.log.2", "worker.log.1", "worker.log")
        for line in (path.parent / name).read_text().split()
    ]
    assert numbers == list(range(20))[-len(numbers) :]
    assert len(numbers) >= 5


def test_last_lines_are_those_since_the_start_and_bounded(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "worker.log")
    log.write(b"before\n")
    log.forget()
    for number in range(LINES_REMEMBERED + 5):
        log.write(b"line %d\nun" % number)
        log.write(b"finished\n")
    log.write(b"\xff")
    log.close()
    lines = log.last_lines()
    assert len(lines) == LINES_REMEMBERED + 1
    assert lines[-3:] == [f"line {LINES_REMEMBERED + 4}", "unfinished", "\N{REPLACEMENT CHARACTER}"]


def test_output_without_line_feeds_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "worker.log")
    for _ in range(100):
        log.write(b"x" * 1000)
    log.close()
    assert log.last_lines() == ["x" * LINE_SIZE_BYTES_MAX]
    assert log.path.stat().st_size == 100_000


def test_a_log_that_can_not_be_written_loses_no_last_lines(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log = ChildLog(tmp_path / "file" / "worker.log")
    log.write(b"still here\n")
    assert log.last_lines() == ["still here"]
