"""doc/security.txt names the tests of all attacks, and none that is not."""
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / 'doc' / 'security.txt').read_text(encoding='utf-8')

# What a name in the table begins with -> the folder of the file.
FOLDERS = {'': 'tests/attacks', 'zc.zk: ': 'zc.zk/tests/attacks'}


def rows():
    """Return the first cells of the table."""
    table = TEXT.partition('.. attacks\n')[2].partition(
        '.. end of attacks')[0]
    return re.findall(r'^((?:[\w.]+: )?)(test_\w+\.py) ', table,
                      re.MULTILINE)


def test_every_attack_has_its_test():
    named = {f'{FOLDERS[prefix]}/{name}' for prefix, name in rows()}
    files = {f'{folder}/{path.name}' for folder in FOLDERS.values()
             for path in (ROOT / folder).glob('test_*.py')}
    assert len(rows()) > 20
    assert named == files


def test_the_other_files_are_there():
    folders = re.findall(r'``([\w.]+/tests)``', TEXT)
    names = re.findall(r'``(test_\w+\.py)``', TEXT)
    assert len(folders) >= 3 and len(names) >= 5
    for folder in folders:
        assert (ROOT / folder).is_dir()
    for name in names:
        assert list(ROOT.glob(f'*/tests/{name}'))
