"""Real parts between the app and the person: nginx and Chromium, as Debian packages them. Each is skipped where it is not installed."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import socket
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chromium import ARGUMENTS, NAMES

NGINX = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else None)
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
PATIENCE = 30  # real seconds until a test gives up on either; never waited out when all is well

CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {upstream}; }}
    }}
}}
"""


def needs(name, present):
    """Skip where that is not installed; in CI, where it has to be, fail."""
    if not present:
        message = f"{name} is not installed: bash .ci/edge_tools installs it on Debian"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


@asynccontextmanager
async def nginx(upstream, folder):
    """The URL of a real nginx, with its default settings, in front of that one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, port=port, upstream=upstream))
    process = await asyncio.create_subprocess_exec(
        str(NGINX), "-p", str(folder), "-c", str(config), stderr=asyncio.subprocess.PIPE
    )
    try:
        await asyncio.wait_for(_listens(process, port), PATIENCE)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _listens(process, port):
    said = b""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert process.returncode is None, (said + await process.stderr.read()).decode()
            said += await process.stderr.readline()  # it says something for each step of its start
            continue
        writer.close()
        await writer.wait_closed()
        return


@asynccontextmanager
async def chromium():
    """A page of a real Chromium without a window."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = await browser.new_page()
            page.set_default_timeout(PATIENCE * 1000)
            yield page
        finally:
            await browser.close()


def has_playwright():
    """Whether Chromium can be driven."""
    return importlib.util.find_spec("playwright") is not None
