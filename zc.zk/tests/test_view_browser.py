"""The page, in a real browser."""
import json
import os
import random
import shutil
import subprocess
import tarfile
import threading
import urllib.request

import pytest
import zc.zk
import zc.zk.embedded
from zc.zk.live.tree import LiveTree
from zc.zk.redaction import redact_value
from zc.zk.testing.installation import parts_folder
from zc.zk.testing.ports import free_port
from zc.zk.testing.waiting import wait_for
from zc.zk.tree.node import name_problem
from zc.zk.view.feed import Feed
from zc.zk.view.server import ViewServer
from zc_zk_support.browser import Browser

TREE = '''\
/cms : web service
  title = 'The CMS <b>bold</b>'
  password = 'hunter2'
  api -> /api/providers
  /providers
/api
  /providers
/many
'''

#: The checker of accessibility, by its exact version; from npm's registry.
AXE = 'axe-core@4.10.3'


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    """A browser for the tests of this module."""
    made = Browser(tmp_path_factory.mktemp('chromium'))
    yield made
    made.close()


class View:
    """A ZooKeeper with a view of it, and what the view shows."""

    def __init__(self, folder):
        self.port = free_port()
        self.folder = folder
        self.server = None
        self.start_zookeeper()
        self.zk = zc.zk.ZooKeeper(f'127.0.0.1:{self.port}', 30)
        self.feed = Feed(LiveTree(self.zk, '/', 1.0), redact_value, 0.02,
                         extras={'health': self.health})
        self.answers = {}
        self.start_view(0)

    def health(self, tree, path):
        """Return what the test has the servers answer."""
        return json.dumps(self.answers)

    def start_zookeeper(self):
        """Start the embedded server."""
        self.zookeeper = zc.zk.embedded.Server(
            port=self.port, data=str(self.folder))
        self.zookeeper.start()

    def start_view(self, port):
        """Serve the page."""
        self.server = ViewServer(('127.0.0.1', port), self.feed, 'A view',
                                 redact_value)
        threading.Thread(target=self.server.serve_forever, args=(0.02,),
                         daemon=True).start()

    def stop_view(self):
        """Stop to serve the page; return its port."""
        self.server.shutdown()
        self.server.server_close()
        return self.server.server_address[1]

    def close(self):
        """End all."""
        self.feed.close()
        self.stop_view()
        self.zk.close()
        self.zookeeper.close()


@pytest.fixture
def view(tmp_path, browser):
    """A view of TREE, open in the browser."""
    made = View(tmp_path / 'zookeeper')
    try:
        made.zk.import_tree(TREE)
        browser.complaints.clear()
        browser.look()
        browser.open(made.server.url)
        browser.wait("document.querySelectorAll('#services tbody tr')"
                     '.length == 2')
        yield made
    finally:
        made.close()


def services(browser):
    """The rows of the services, as lists of texts."""
    return browser.js(
        "[...document.querySelectorAll('#services tbody tr')].map(row =>"
        ' [...row.cells].slice(0, 3).map(cell => cell.innerText.trim()))')


def tree(browser):
    """The lines of the tree that are open."""
    return browser.js("document.querySelector('#tree').innerText").split('\n')


def go(browser, path):
    """Follow a permanent link."""
    browser.js(f'location.hash = {json.dumps("#" + path)}')


def test_services_come_first(view, browser):
    assert services(browser) == [['▲ none', '/api', ''],
                                 ['▲ none', '/cms', '']]
    first = view.zk.register('/cms/providers', '127.0.0.1:8080')
    browser.wait("document.querySelector('#services').innerText"
                 ".includes('127.0.0.1:8080')")
    assert services(browser)[1] == ['● up', '/cms', '127.0.0.1:8080']
    browser.js("document.querySelector('#failing').click()")
    browser.wait("document.querySelectorAll('#services tbody tr')"
                 '.length == 1')
    assert services(browser) == [['▲ none', '/api', '']]
    first.withdraw()
    browser.wait("document.querySelectorAll('#services tbody tr')"
                 '.length == 2')
    assert 'deleted (session 0x' in browser.js(
        "document.querySelector('#changes').innerText")


def test_the_tree_as_a_tree_file_has_it(view, browser):
    go(browser, '/cms')
    browser.wait("document.querySelector('#tree').innerText"
                 ".includes('********')")
    lines = [line.strip() for line in tree(browser)]
    assert "title = 'The CMS <b>bold</b>'" in lines
    assert "password = '********'" in lines
    assert 'hunter2' not in browser.js('document.documentElement.outerHTML')
    assert browser.js("document.querySelector('.shown')?.innerText"
                      ) == '/cms : web service (1)'


def test_links_lead_to_their_nodes(view, browser):
    go(browser, '/cms')
    browser.wait("document.querySelector('#tree a')")
    browser.js("document.querySelector('#tree a').click()")
    browser.wait("document.querySelector('.shown')?.innerText == '/providers'")
    assert browser.js('location.hash') == '#/api/providers'


def test_what_changes_is_shown(view, browser):
    go(browser, '/cms')
    browser.wait("document.querySelector('.shown')")
    view.zk.client.set('/cms', b'{"title": "new"}')
    browser.wait("document.querySelector('#tree').innerText"
                 ".includes(\"title = 'new'\")")
    # What was open is open still.
    assert 'password' not in ' '.join(tree(browser))
    view.zk.client.create('/cms/providers/deep', b'')
    go(browser, '/cms/providers/deep')
    browser.wait("document.querySelector('.shown')?.innerText == '/deep'")
    # A change of a node and a deletion below it, in one transaction.
    change = view.zk.client.transaction()
    change.set_data('/cms', b'{"title": "newer"}')
    change.delete('/cms/providers/deep')
    change.commit()
    browser.wait("document.querySelector('#tree').innerText"
                 ".includes('newer')")
    assert '/deep' not in tree(browser)


def test_find(view, browser):
    browser.js("document.querySelector('#find').focus()")
    browser.type('bold')
    browser.wait("document.querySelector('#found').innerText"
                 ".includes('/cms')")
    assert browser.js("document.querySelector('#found-note').innerText"
                      ) == '1 nodes'
    assert browser.js("document.querySelector('#found').innerText") == (
        "/cms  title = 'The CMS <b>bold</b>'")
    assert browser.js("document.querySelector('#tree-part').hidden")
    browser.js("document.querySelector('#find').value = ''")
    browser.type('Web')
    # A type without the name, which stands there already.
    browser.wait("document.querySelector('#found').innerText"
                 " == '/cms : web service'")
    browser.js("document.querySelector('#find').value = ''")
    browser.type('PROVIDERS')
    browser.wait("document.querySelectorAll('#found li').length == 3")
    browser.js("document.querySelector('#found a').click()")
    browser.wait("document.querySelector('#found-part').hidden")


def test_pause(view, browser):
    browser.js("document.querySelector('#pause').click()")
    view.zk.client.create('/paused')
    browser.wait("document.querySelector('#pause').innerText"
                 " == 'Go on (1 waiting)'")
    assert '/paused' not in tree(browser)
    assert browser.js("document.querySelector('#pause').ariaPressed") == (
        'true')
    browser.js("document.querySelector('#pause').click()")
    browser.wait("document.querySelector('#tree').innerText"
                 ".includes('/paused')")


def test_many_children(view, browser):
    view.zk.import_tree('/many\n' + ''.join(
        f'  /n{number:04}\n' for number in range(1000)), trim=False)
    go(browser, '/many')
    browser.wait("document.querySelector('#tree button')")
    shown = "document.querySelectorAll('#tree .leaf').length"
    assert browser.js(shown) == 200
    assert browser.js("document.querySelector('#tree button').innerText") == (
        '800 more: show 200 of them')
    browser.js("document.querySelector('#tree button').click()")
    browser.wait(f'{shown} == 400')
    for count in 600, 800:
        browser.js("document.querySelector('#tree button').click()")
        browser.wait(f'{shown} == {count}')
    assert browser.js("document.querySelector('#tree button').innerText") == (
        '200 more: show them')
    go(browser, '/many/n0999')
    browser.wait("document.querySelector('.shown')?.innerText == '/n0999'")


def test_more_children_than_a_call_has_arguments(view, browser):
    told = browser.js('''(() => {
        const many = find('/many');
        for (let number = 0; number < 150000; number++)
            many.children.set(`n${number}`, read(
                [`n${number}`, [`/n${number}`], SERVER, [], 1e12], many));
        places.add('/many');
        drawServicesNow();
        byId('find').value = 'n149999';
        search();
        return [byId('found-note').textContent,
                byId('services-note').textContent];
    })()''')
    assert told == ['1 nodes', '3 services, 2 without servers']


def test_an_outage_has_a_banner_and_keeps_the_tree(view, browser):
    view.zookeeper.close()
    browser.wait("document.querySelector('#banner').innerText"
                 ".includes('ZooKeeper does not answer')")
    assert '/cms : web service (1)' in ' '.join(tree(browser))
    view.start_zookeeper()
    browser.wait("document.querySelector('#banner')?.hidden")
    view.zk.client.retry(view.zk.client.create, '/later')
    browser.wait("document.querySelector('#tree').innerText"
                 ".includes('/later')")


def test_the_command_is_away_and_comes_back(view, browser):
    port = view.stop_view()
    # Streams end when their feed has something to say, and cannot.
    browser.js('source.dispatchEvent(new Event("error"))')
    browser.wait("document.querySelector('#banner').innerText"
                 ".includes('zookeeper_view does not answer')")
    view.start_view(port)
    browser.open(view.server.url)
    browser.wait("document.querySelector('#banner')?.hidden")


def test_health_is_a_picture(view, browser):
    view.zk.register('/cms/providers', '127.0.0.1:8080')
    view.answers = {'/cms/providers/127.0.0.1:8080': [
        {'at': number, 'state': 'registered', 'threads': 4,
         'busy_threads': number % 5, 'in_flight': 3, 'queued': 1}
        for number in range(1, 13)]}
    browser.wait("document.querySelector('#services svg')")
    assert browser.js("document.querySelector('#services svg')"
                      ".getAttribute('aria-label')") == (
        '2 of 4 threads busy, 3 requests in flight, 1 waiting')
    # In words, too, and it stands out as requests wait.
    assert browser.js("document.querySelector('#services .late').textContent"
                      ) == '2/4 busy, 1 waiting'
    # The last of the history is at its right end.
    assert browser.js("document.querySelector('#services .history')"
                      ".getAttribute('points').split(' ').at(-1)"
                      ".split(',')[0]") == '144'
    assert browser.js("document.querySelector('#services .busy')"
                      ".getAttribute('width')") == '23'
    points = browser.js("document.querySelector('#services .history')"
                        ".getAttribute('points')").split()
    assert len(points) == 12


def test_compare_with_a_file(view, browser):
    browser.js("compare(new File([\"/cms\\n  title = 'x'\\n\"], 'a.txt'))")
    browser.wait("document.querySelector('#plan').innerText"
                 ".includes('would be reached by')")
    said = browser.js("document.querySelector('#plan').innerText")
    assert '/cms remove property password' in said
    assert 'hunter2' not in said
    browser.js("compare(new File(['/a\\n   /b\\n /c\\n'], 'b.txt'))")
    browser.wait("document.querySelector('#plan').innerText"
                 ".includes('b.txt: line ')")


def test_all_of_it_by_the_keyboard(view, browser):
    view.zk.register('/cms/providers', '127.0.0.1:8080')
    browser.wait("document.querySelector('#services').innerText"
                 ".includes('127.0.0.1:8080')")
    browser.js('document.activeElement.blur()')
    seen = []
    for _ in range(40):
        browser.press('Tab')
        seen.append(browser.js(
            '`${document.activeElement.tagName}'
            ' ${document.activeElement.id}'
            ' ${document.activeElement.innerText.trim()}`'))
        if seen[-1].startswith('SUMMARY  /cms'):
            break
    assert {'INPUT find ', 'BUTTON pause Pause', 'INPUT failing ',
            'A  /cms', 'A  as text', 'INPUT file '} <= set(seen)
    assert seen[-1].startswith('SUMMARY  /cms')
    # What has the focus shows it.
    assert browser.js('getComputedStyle(document.activeElement)'
                      '.outlineStyle') == 'solid'
    browser.press('Enter')
    browser.wait("document.querySelector('#tree').innerText"
                 ".includes('********')")
    # A change leaves the focus where it is.
    view.zk.client.set('/cms', b'{"title": "new"}')
    browser.wait("document.querySelector('#tree').innerText"
                 ".includes(\"title = 'new'\")")
    assert browser.js('document.activeElement.innerText'
                      ).startswith('/cms')


@pytest.mark.parametrize('width', [1200, 700, 400, 320])
def test_nothing_is_wider_than_the_window(view, browser, width):
    view.zk.client.create('/wide', json.dumps(
        {'x': 'y' * 500}).encode())
    names = ('127.0.0.1:8080', '[2001:db8:85a3::8a2e:370:7334]:41231',
             'web-frontend-17.rack-a7.north.example.com:41231')
    for name in names:
        view.zk.register('/cms/providers', name)
    view.answers = {f'/cms/providers/{name}': [
        {'at': 1, 'state': 'registered', 'threads': 16, 'busy_threads': 16,
         'queued': 123}] for name in names}
    browser.look(width)
    browser.wait("document.querySelectorAll('#services svg').length == 3")
    go(browser, '/wide')
    browser.wait("document.querySelector('.shown')")
    # Within the margins, but the heads that narrow pages do not show.
    assert browser.js(
        '[...document.body.querySelectorAll("*")].filter(each =>'
        ' !each.closest("thead") && each.getBoundingClientRect().right >'
        ' document.documentElement.clientWidth - 15)'
        '.map(each => each.outerHTML)') == []
    assert browser.js('document.documentElement.scrollWidth') <= width


def test_the_figures_of_servers_stand_in_columns(view, browser):
    names = '127.0.0.1:8080', '127.0.0.1:80'
    for name in names:
        view.zk.register('/cms/providers', name)
    states = 'registered', 'suspended'
    view.answers = {f'/cms/providers/{name}': [
        {'at': 1, 'state': state, 'threads': 4, 'busy_threads': 1}]
        for name, state in zip(names, states, strict=True)}
    browser.wait("document.querySelectorAll('#services svg').length == 2")
    for selector in 'svg', '.servers li > :nth-child(2)':
        left = browser.js(
            f"[...document.querySelectorAll('#services {selector}')].map("
            'each => each.getBoundingClientRect().left)')
        assert left[0] == left[1]


def test_links_to_the_parts_of_the_page(view, browser):
    view.zk.import_tree(''.join(
        f'/s{number}\n  /providers\n' for number in range(60)), trim=False)
    browser.wait("document.querySelectorAll('#services tbody tr')"
                 '.length == 62')
    assert browser.js('scrollY') == 0
    browser.js("document.querySelector('nav a[href=\"#tree-title\"]').click()")
    browser.wait('scrollY')
    # It is no link to a node.
    assert 'there is no' not in browser.js(
        "document.querySelector('#state').textContent")


@pytest.fixture(scope='module')
def axe():
    """The text of axe-core; skipped where npm cannot fetch it."""
    folder = os.path.join(parts_folder(), 'axe')
    path = os.path.join(folder, 'package', 'axe.min.js')
    if not os.path.exists(path):
        if not shutil.which('npm'):
            raise pytest.skip.Exception('no npm to fetch axe-core with')
        os.makedirs(folder, exist_ok=True)
        done = subprocess.run(['npm', 'pack', '--silent', AXE], cwd=folder,
                              capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise pytest.skip.Exception('npm does not get axe-core: '
                                        + done.stderr.strip()[:200])
        archive = os.path.join(folder, done.stdout.split()[-1])
        with tarfile.open(archive) as package:
            text = package.extractfile('package/axe.min.js').read()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'wb') as file:
            file.write(text)
    with open(path, encoding='utf-8') as file:
        return file.read()


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_accessibility(view, browser, axe, scheme):
    view.zk.register('/cms/providers', '127.0.0.1:8080')
    view.answers = {'/cms/providers/127.0.0.1:8080': [
        {'at': 1, 'state': 'registered', 'threads': 4, 'busy_threads': 1}]}
    browser.look(scheme=scheme)
    browser.wait("document.querySelector('#services svg')")
    go(browser, '/cms')
    browser.wait("document.querySelector('.shown')")
    browser.js(axe + '; 0')
    found = json.loads(browser.js(
        'axe.run().then(result => JSON.stringify(result.violations))'))
    assert [(each['id'], [node['html'] for node in each['nodes']])
            for each in found] == []


def test_the_policy_is_kept(view, browser):
    go(browser, '/cms')
    browser.wait("document.querySelector('.shown')")
    assert browser.complaints == []


HOSTILE = ['<script>window.hit = 1</script>', '<img src=x onerror=hit=1>',
           '"><svg onload=hit=1>', '\u202eabc', '&lt;b&gt;', '{{js}}',
           "javascript:hit=1", '\x1b[2J', 'x' * 1_000_000]


def test_hostile_names_and_values_are_text(view, browser):
    for number, text in enumerate(HOSTILE):
        view.zk.client.create(f'/h{number}', json.dumps(
            {'x': text, text[:50] or 'y': 1, 'l ->': text[:50]}).encode())
        name = text.replace('/', '').replace('\x1b', '')[:60]
        if name_problem(name) is None:
            view.zk.client.create(f'/{name}', b'')
    for number in range(len(HOSTILE)):
        go(browser, f'/h{number}')
        browser.wait("document.querySelector('.shown')?.innerText == "
                     f"'/h{number}'")
    browser.js("[...document.querySelectorAll('#tree a')]"
               '.forEach(link => link.click())')
    assert browser.js('typeof hit') == 'undefined'
    assert browser.js("document.querySelectorAll('#tree script,"
                      " #tree img, #tree svg').length") == 0
    assert browser.js("[...document.querySelectorAll('#tree a')].every("
                      "link => link.getAttribute('href').startsWith('#/'))")
    shown = browser.js("document.querySelector('#tree').textContent")
    assert '<script>window.hit = 1</script>' in shown
    assert '\u202e' not in shown
    assert '\x1b' not in shown
    assert browser.complaints == []


def any_texts(count):
    """Yield texts of characters that HTML, JSON or a terminal may obey.

    Not by Hypothesis: threads of kazoo use `random` meanwhile, of which it
    complains.
    """
    chance = random.Random(1)
    signs = [*map(chr, range(1, 256)), *'<>&\'"/\\`{}$',
             *'\u200b\u202e\u2028\u2029\u2066\ufeff\ue000\U0001f600',
             *'<>&\'"' * 20]
    for _ in range(count):
        yield ''.join(chance.choices(signs, k=chance.randint(1, 20)))


def test_any_names_and_values_are_text(view, browser):
    texts = list(any_texts(60))
    for name, value in zip(texts[::2], texts[1::2], strict=True):
        name = name.replace('/', '')
        if name_problem(name) is not None:
            name = ''.join(each for each in name
                           if name_problem(each) is None) or 'plain'
        view.zk.client.create(f'/{name}', json.dumps({'x': value}).encode())
        browser.wait(f"find({json.dumps('/' + name)})")
        elements = browser.js("document.querySelector('#tree')"
                              ".querySelectorAll(':not(li, details, summary,"
                              " ul, div, span, a)').length")
        assert elements == 0
        view.zk.client.delete(f'/{name}')
        browser.wait(f"!find({json.dumps('/' + name)})")


def test_the_demonstration_of_the_page_is_its_own(view):
    """The page needs nothing from outside."""
    text = urllib.request.urlopen(view.server.url).read().decode()
    assert 'src=' not in text.replace('src=x', '')
    assert '<link' not in text
    assert 'url(' not in text


def test_ten_viewers(view, browser):
    viewers = [view.feed.join() for _ in range(9)]
    view.zk.client.create('/ten')
    browser.wait("document.querySelector('#tree').innerText"
                 ".includes('/ten')")
    for viewer in viewers:
        wait_for(lambda viewer=viewer: any(
            b'/ten' in data for _, data in view.feed.take(viewer, 10)), 10,
            'the node')
        view.feed.leave(viewer)
