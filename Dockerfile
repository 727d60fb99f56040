# The dashboard with the REST service under /api: `docker build -t seglab .`, then `docker run --rm -p 8501:8501 seglab`.
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    HOME=/tmp \
    SEGLAB_CACHE=/tmp/seglab \
    NUMBA_CACHE_DIR=/tmp/numba

WORKDIR /app
COPY requirements.txt requirements-api.txt ./
RUN pip install --index-url https://download.pytorch.org/whl/cpu torch==2.13.0 torchvision==0.28.0 \
    && pip install -r requirements.txt -r requirements-api.txt

COPY .streamlit .streamlit
COPY pages pages
COPY seglab seglab
COPY trainers trainers
COPY results results
COPY streamlit_app.py README.md LICENSE NOTICE.md ./

RUN useradd --system --uid 10001 --no-create-home seglab
USER 10001
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/api/health', timeout=4)"]
CMD ["python", "-m", "seglab", "serve", "--headless", "--address", "0.0.0.0", "--port", "8501"]
